"""What an agent chose, and the action it amounts to, ready to be frozen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from django.utils.translation import gettext_lazy

from orders.models import ActionKind, RefundMethod, Returned
from orders.money import Money
from orders.previews.restocking import Restock
from orders.previews.returns import ThroughReturn
from orders.shopify_port import CANCEL_REASON_LABELS
from orders.snapshot import LineQuantity
from orders.statuses.payment_methods import readable

# Shopify's staff note holds 255 characters, and ours ends with OrderAction.note_marker: by it we
# find again what we did. What an agent writes has to arrive whole, so this is all there is.
STAFF_NOTE_LENGTH: Final = 255 - len(" [ax:0123456789]")
# Ours, as Shopify has no list of refund reasons; the value is stored, the label is shown.
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

# Shopify's own (OrderAdjustmentInputDiscrepancyReason): why an amount is not the calculated one.
DISCREPANCY_REASONS: Final = {
    "CUSTOMER": gettext_lazy("Agreed with the customer"),
    "DAMAGE": gettext_lazy("Damaged items"),
    "RESTOCK": gettext_lazy("Restocking fee"),
    "OTHER": gettext_lazy("Other"),
}


def reason_words(reason: str) -> str:
    """The words somebody chose a reason by: ours, or those of Shopify's admin. One that has none
    is made readable; "" for none."""
    found = REFUND_REASONS.get(reason) or CANCEL_REASON_LABELS.get(reason.upper())
    return str(found) if found else readable(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelChoice:
    """What the agent chose in the cancel dialog. `amount` None: refund later, or unpaid."""

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

    Lines or shipping: those are refunded, for what Shopify calculates or for another `amount`,
    which has a `discrepancy_reason`. Neither: the `amount` alone, and no item is touched.
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
    # The return the items are in: its id, "" for items in none, None where nobody said.
    through: str | None = None


Choice = CancelChoice | RefundChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A share of the refund and the payment method it goes back to.

    `parent_gid` is the payment's; empty for store credit, which is no payment's.
    """

    parent_gid: str
    gateway: str
    label: str
    is_manual: bool
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An action ready to be frozen: everything `Gateway.plan` needs, in our words."""

    kind: ActionKind
    reason: str
    reason_label: str
    amount: Money | None
    targets: tuple[Target, ...]
    # All that is left. Of a cancellation: Shopify gives it back with the order, without an amount.
    is_full_refund: bool
    lines: tuple[LineQuantity, ...]
    shipping: Money | None
    restock: bool
    notify: bool
    staff_note: str
    returned: str
    shipments_to_cancel: tuple[str, ...]
    # What the agent saw; `request_action` refuses when it is no longer so.
    facts: dict[str, str]
    # Last and with a default: proposals stored before there was a choice lack it.
    method: RefundMethod = RefundMethod.ORIGINAL
    # Of a refund of items: what Shopify calculated, and why it is another amount, if it is.
    calculated: Money | None = None
    discrepancy_reason: str = ""
    # How the lines go back to stock; empty: they do not.
    restocks: tuple[Restock, ...] = ()

    # What customs took for the lines, by the gids of the duties; goes back with them.
    duties: tuple[str, ...] = ()
    # The open return it is refunded through, and what was asked about it.
    through: ThroughReturn | None = None
    asked_through: str | None = None

    @property
    def is_amount_only(self) -> bool:
        """A refund that touches no item and no shipping."""
        return self.kind == ActionKind.REFUND and not self.lines and not self.shipping

    @property
    def difference(self) -> Money | None:
        """What goes back beyond what was calculated, or below zero what is kept of it."""
        if self.amount is None or self.calculated is None or self.amount == self.calculated:
            return None
        return self.amount - self.calculated


def encode_proposal(proposal: Proposal) -> dict[str, Any]:
    """Plain data for a JSON column or a token; amounts as strings."""
    plain: dict[str, Any] = msgspec.to_builtins(proposal)
    return plain


def decode_proposal(plain: dict[str, Any]) -> Proposal:
    """Raises ValueError for what is none."""
    return msgspec.convert(plain, Proposal, strict=False)
