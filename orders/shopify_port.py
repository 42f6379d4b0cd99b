"""The port through which orders reach Shopify; `settings.ORDERS_GATEWAY` names the implementation.

This app must not know Shopify's wire format, yet its services need a fresh read, a suggested
refund, and the exact requests to freeze before anything is sent; and its workers need to read an
order and send those requests. shopify_sync implements this protocol. Nothing here opens a
transaction, and no method except `plan` may be called inside one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Final, Protocol, TypedDict

from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy, gettext_noop

from orders.checkout_snapshot import (
    CheckoutSnapshot,
    Consents,
)
from orders.models import Checkout, Order, OrderAction, Store
from orders.money import Money
from orders.snapshot import LineQuantity, OrderSnapshot, Return


class Goal(StrEnum):
    """What a step is meant to achieve."""

    CANCEL_SHIPMENT = "cancel_shipment"
    CANCEL_ORDER = "cancel_order"
    REFUND = "refund"
    RETURN = "return"


class Step(TypedDict):
    """One frozen request to Shopify.

    `goal` (a Goal) and `target` (a Shopify ID) say what a later read must show. `query`
    (the text of `document`) and `variables` are sent byte for byte, to the API version they were
    written for, no matter what has been deployed since.
    """

    goal: str
    target: str
    document: str
    query: str
    api_version: str
    variables: dict[str, object]


@dataclass(frozen=True, slots=True)
class Place:
    """A location where the shop keeps stock."""

    gid: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedLine:
    """Units of a line item; one line item may have several of these.

    `restock` is Shopify's restock type and `place` the location; both are set only if requested.
    """

    line_gid: str
    quantity: int
    subtotal: Money
    tax: Money
    restock: str = ""
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedTransaction:
    """A payment the money would go back to. `label` is for people: "Visa •••• 4242"."""

    parent_gid: str
    gateway: str
    label: str
    is_manual: bool
    amount: Money
    maximum: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedRefund:
    """What Shopify would refund for a choice of lines and shipping, in the customer's currency."""

    amount: Money
    maximum: Money
    subtotal: Money
    tax: Money
    shipping: Money
    shipping_maximum: Money
    lines: tuple[SuggestedLine, ...]
    transactions: tuple[SuggestedTransaction, ...]
    # Import duties on these lines that would be refunded with them.
    duties: Money | None = None
    # For returns: where the goods belong, by line item gid.
    places: Mapping[str, Place] = field(default_factory=dict)


# Shopify's wording in its own admin; a value that's missing here is shown title-cased. Defined in
# this app and not in the gateway, so that the labels are translated with the rest of it.
CANCEL_REASON_LABELS: Final = {
    "CUSTOMER": gettext_lazy("Customer changed or canceled order"),
    "INVENTORY": gettext_lazy("Items unavailable"),
    "FRAUD": gettext_lazy("Fraudulent order"),
    "DECLINED": gettext_lazy("Payment declined"),
    "STAFF": gettext_lazy("Staff error"),
    "OTHER": gettext_lazy("Other"),
}
# The gateway's sentences about an unreachable shop, marked here for the same reason.
_GATEWAY_MESSAGES: Final = (
    gettext_noop("Shopify can’t find this order."),
    gettext_noop("It may have been deleted, or it’s older than this app is allowed to read."),
    gettext_noop("Ask an administrator to check the Shopify connection."),
    gettext_noop("Shopify refused: %s"),
    gettext_noop("Shopify can’t be reached right now. Nothing was changed."),
    gettext_noop("Try again in a moment."),
)


@dataclass(frozen=True, slots=True)
class CancelReason:
    """A cancellation reason: Shopify's `value` and the `label` agents see."""

    value: str
    label: str


class Job(StrEnum):
    """The state of Shopify's asynchronous cancellation job; NONE if it has none (any more)."""

    NONE = "none"
    OPEN = "open"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRead:
    """What Shopify shows of an action's order, and of the job of an accepted cancellation.

    `snapshot` None: Shopify doesn't return the order. The job was read first, so that whatever a
    finished job did shows in the snapshot.
    """

    snapshot: OrderSnapshot | None
    read_started_at: datetime
    job: Job = Job.NONE
    job_message: str = ""


class Obstacle(StrEnum):
    """Why a request did nothing."""

    # The token, a scope or the shop itself; only an administrator can fix it.
    NEEDS_ADMIN = "needs_admin"
    # Over the shop's rate limit.
    THROTTLED = "throttled"
    # Rejected as a whole; the same bytes would be rejected every time.
    BAD_REQUEST = "bad_request"
    # No connection, or (for a read) no usable answer.
    OUT_OF_REACH = "out_of_reach"


@dataclass(frozen=True, slots=True)
class NotDone:
    """A read failed, or a step provably did nothing. `retry_after_s` is set if throttled."""

    obstacle: Obstacle
    message: str
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class NoOutcome:
    """A step was sent, and whether it did anything is unknown: no answer, or not a usable one."""

    message: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Shopify answered a step with these errors of the user's.

    After a first send they mean no. After a send without an answer they say nothing about that
    send.
    """

    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Accepted:
    """Shopify accepted a step; what it did shows only in a read.

    `job_gid` is the job that cancels the order, `refund_gid` the refund, if the answer says which.
    """

    job_gid: str = ""
    refund_gid: str = ""


Answer = Accepted | Rejected | NoOutcome | NotDone


class ActionSession(Protocol):
    """A worker's connection to the shop for as long as it holds its claim on one action.

    Errors of Shopify's are returned, sorted by what they prove, and never raised.
    """

    def read(self) -> ActionRead | NotDone | None:
        """Read the order again, renewing the claim between requests; None: the claim was lost."""

    def send(self, step: int) -> Answer:
        """Send one frozen step in at most one request, which ends within the worker's lease."""


class Gateway(Protocol):
    """Everything this app asks of Shopify."""

    def refresh(self, order: Order) -> None:
        """Read the order from Shopify now and project it. Raises ShopUnreachable."""

    def find_orders(self, *, emails: Sequence[str], phones: Sequence[str]) -> None:
        """Ask every store for orders with these addresses that we don't have yet, and read them.

        Skips stores that can't be reached.
        """

    def wake_search(self, *, emails: Sequence[str], phones: Sequence[str]) -> bool:
        """Have a worker run find_orders if any store's back-fill is still under way.

        Returns whether one is.
        """

    def wake_reading(self, order_ids: Sequence[int]) -> None:
        """Enqueue reads of these dirty orders. May be lost: the sweep finds them."""

    def suggest_refund(
        self,
        order: Order,
        *,
        lines: Sequence[LineQuantity] | None,
        shipping: Money | None,
        with_places: bool = False,
    ) -> SuggestedRefund:
        """Have Shopify calculate a refund. Raises ShopUnreachable.

        `lines` None means everything that is left. `with_places` also asks how and where each line
        would be restocked, which Shopify tells only apps that may read locations.
        """

    def suggest_return(
        self,
        order: Order,
        found: Return,
        *,
        lines: Sequence[LineQuantity],
        shipping: Money | None,
        with_places: bool = False,
    ) -> SuggestedRefund:
        """Have Shopify calculate the refund of items through their return, which may deduct fees.

        Raises ShopUnreachable.
        """

    def may_process_returns(self, store: Store) -> bool:
        """Whether, as far as is known, the shop lets this app refund through a return.

        Makes no request.
        """

    def cancel_reasons(self, store: Store) -> tuple[CancelReason, ...]:
        """Return the shop's own reasons, cached; Shopify's six defaults if they can't be read."""

    def unreachable_stores(self) -> set[int]:
        """Return the IDs of stores that stopped responding and are being left alone.

        Makes no request.
        """

    def is_uninstalled(self, store: Store) -> bool:
        """Ask now whether Shopify refuses us access to the shop. Raises ShopUnreachable."""

    def read_checkout(self, checkout: Checkout) -> CheckoutSnapshot | None:
        """Read the checkout now; None if Shopify has no such checkout (any more).

        Raises ShopUnreachable.
        """

    def read_consents(self, store: Store, customer_gid: str) -> Consents:
        """Read the customer's marketing consents now; empty if Shopify has no such customer.

        Raises ShopUnreachable.
        """

    def plan(self, action: OrderAction) -> list[Step]:
        """Return the requests for an unsaved action's proposal, in order. Pure."""

    def wait_s(self, store_id: int) -> float:
        """Return how many seconds to leave the shop alone; 0 means go ahead.

        While a shop is in trouble, only one caller at a time gets 0, and has to read. Makes no
        request.
        """

    def action_session(self, action: OrderAction, *, renew: Callable[[], bool]) -> ActionSession:
        """Begin a session for a claimed action. Makes no request.

        `renew` extends the claim and returns False if it was lost; it is called before each
        request of a read.
        """


@cache
def get_gateway() -> Gateway:
    """Return the process-wide gateway, created on first use."""
    gateway: Gateway = import_string(settings.ORDERS_GATEWAY)()
    return gateway
