"""What an agent chose, and the proposed action that results from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
from django.utils.translation import gettext_lazy

from orders.models import ActionKind, RefundMethod, Returned
from orders.money import Money
from orders.previews.restocking import Restock
from orders.previews.return_refunds import ThroughReturn
from orders.shopify_port import CANCEL_REASON_LABELS
from orders.snapshot import LineQuantity
from orders.statuses.payment_labels import readable

# Shopify's staff note holds 255 characters, and ours ends with OrderAction.note_marker, by which we
# recognize our own actions. The agent's text must arrive in full, so this is what is left for it.
STAFF_NOTE_LENGTH: Final = 255 - len(" [ax:0123456789]")
# Our own list, as Shopify has none for refunds. The key is stored, the label is shown.
REFUND_REASONS: Final = {
    "damaged": gettext_lazy("Damaged on arrival"),
    "wrong_item": gettext_lazy("Wrong item"),
    "not_as_described": gettext_lazy("Not as described"),
    "changed_mind": gettext_lazy("Changed their mind"),
    "not_received": gettext_lazy("Did not arrive"),
    "late": gettext_lazy("Arrived too late"),
    "goodwill": gettext_lazy("Goodwill"),
    "other": gettext_lazy("Other"),
}

# Why an amount differs from the calculated one: Shopify's OrderAdjustmentInputDiscrepancyReason.
DISCREPANCY_REASONS: Final = {
    "CUSTOMER": gettext_lazy("Agreed with the customer"),
    "DAMAGE": gettext_lazy("Damaged items"),
    "RESTOCK": gettext_lazy("Restocking fee"),
    "OTHER": gettext_lazy("Other"),
}


def reason_words(reason: str) -> str:
    """The label of a refund or cancellation reason, as it was shown when it was chosen.

    A value without a label is made readable; "" for no reason.
    """
    found = REFUND_REASONS.get(reason) or CANCEL_REASON_LABELS.get(reason.upper())
    return str(found) if found else readable(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelChoice:
    """What the agent chose in the cancel dialog. `amount` None: refund later, or not paid yet."""

    reason: str
    amount: Money | None = None
    method: RefundMethod = RefundMethod.ORIGINAL
    restock: bool = True
    notify: bool = False
    staff_note: str = ""
    cancel_shipments: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundChoice:
    """What the agent chose in the refund dialog.

    With lines or shipping, those are refunded: for what Shopify calculates, or for another
    `amount`, which needs a `discrepancy_reason`. With neither, only the `amount` is refunded and
    no item is touched.
    """

    reason: str
    lines: tuple[LineQuantity, ...] = ()
    shipping: Money | None = None
    amount: Money | None = None
    discrepancy_reason: str = ""
    method: RefundMethod = RefundMethod.ORIGINAL
    restock: bool = False
    notify: bool = False
    staff_note: str = ""
    returned: str = Returned.NOT_ASKED
    # The return the items are in: its ID, "" for none, None if the agent did not say.
    through: str | None = None


Choice = CancelChoice | RefundChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A share of the refund and the payment method it goes back to.

    `parent_gid` is the payment transaction; empty for store credit, which has none.
    """

    parent_gid: str
    gateway: str
    label: str
    is_manual: bool
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A proposed action: everything `Gateway.plan` needs to write Shopify's requests."""

    kind: ActionKind
    reason: str
    reason_label: str
    amount: Money | None
    targets: tuple[Target, ...]
    # Refunds all that is left. Shopify does that as part of a cancellation, without an amount.
    is_full_refund: bool
    lines: tuple[LineQuantity, ...]
    shipping: Money | None
    restock: bool
    notify: bool
    staff_note: str
    returned: str
    shipments_to_cancel: tuple[str, ...]
    # What the agent saw; `request_action` refuses if it no longer holds.
    facts: dict[str, str]
    # From here on, fields need defaults: proposals stored by older versions lack them.
    method: RefundMethod = RefundMethod.ORIGINAL
    # For a refund of items: what Shopify calculated, and the reason if the amount differs.
    calculated: Money | None = None
    discrepancy_reason: str = ""
    # How the lines are restocked; empty: they are not.
    restocks: tuple[Restock, ...] = ()

    # The gids of the customs duties on the lines, which are refunded with them.
    duties: tuple[str, ...] = ()
    # The open return to refund through, and the choice of return it came from.
    through: ThroughReturn | None = None
    asked_through: str | None = None

    @property
    def is_amount_only(self) -> bool:
        """A refund that touches no item and no shipping."""
        return self.kind == ActionKind.REFUND and not self.lines and not self.shipping

    @property
    def difference(self) -> Money | None:
        """The amount minus the calculated one, negative if less is refunded; None if equal."""
        if self.amount is None or self.calculated is None or self.amount == self.calculated:
            return None
        return self.amount - self.calculated


# msgspec builds and caches what it knows of a type on first use, and crashes the process when
# several threads do so at once. Here the import does it, in one thread.
msgspec.json.Decoder(Proposal)


def encode_proposal(proposal: Proposal) -> dict[str, object]:
    """Convert to plain data for a JSON column or a token, with amounts as strings."""
    plain: dict[str, object] = msgspec.to_builtins(proposal)
    return plain


def decode_proposal(plain: dict[str, object]) -> Proposal:
    """Undo encode_proposal. Raises ValueError for data that is not a proposal."""
    return msgspec.convert(plain, Proposal, strict=False)
