"""The way out to Shopify, as this app needs it. `settings.ORDERS_GATEWAY` names who walks it.

orders must not know Shopify's wire format, yet its verbs need a fresh read, a suggested
refund and the exact documents to freeze before anything is sent. shopify_sync implements
this protocol; nothing here opens a transaction, and no method but `plan` may be called in one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Protocol, TypedDict

from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy, gettext_noop

from orders.checkouts import (
    CheckoutSnapshot,
    Consents,
)
from orders.models import Checkout, Order, OrderAction, Store
from orders.money import Money
from orders.snapshot import LineQuantity, Return


class Step(TypedDict):
    """One request, frozen. `goal` (a progress.Goal) and `target` (a Shopify id) say in our
    words what a later read must show; `query` (the text of `document`) and `variables` go out
    byte for byte, to the API version they were written for, whatever was deployed since."""

    goal: str
    target: str
    document: str
    query: str
    api_version: str
    variables: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """A location of the shop's stock."""

    gid: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedLine:
    """Units of a line; a line may have several of these. `restock` is Shopify's word for how they
    go back to stock and `place` where to; both only where they were asked for."""

    line_gid: str
    quantity: int
    subtotal: Money
    tax: Money
    restock: str = ""
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedTransaction:
    """Where money would go back to. `label` is for people: "Visa •••• 4242"."""

    parent_gid: str
    gateway: str
    label: str
    is_manual: bool
    amount: Money
    maximum: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedRefund:
    """What Shopify would refund for a choice of lines and shipping; customer's currency."""

    amount: Money
    maximum: Money
    subtotal: Money
    tax: Money
    shipping: Money
    shipping_maximum: Money
    lines: tuple[SuggestedLine, ...]
    transactions: tuple[SuggestedTransaction, ...]
    # What customs took for these lines, as far as it goes back with them.
    duties: Money | None = None
    # Of a return: where its goods belong, by line item.
    places: Mapping[str, Place] = field(default_factory=dict)


# Shopify's wording in its own admin; a value not here is shown title-cased (F31). Here and not
# where it is used, because agents read it in their language.
CANCEL_REASON_LABELS: Final = {
    "CUSTOMER": gettext_lazy("Customer changed or canceled order"),
    "INVENTORY": gettext_lazy("Items unavailable"),
    "FRAUD": gettext_lazy("Fraudulent order"),
    "DECLINED": gettext_lazy("Payment declined"),
    "STAFF": gettext_lazy("Staff error"),
    "OTHER": gettext_lazy("Other"),
}
# The same for the sentences about a shop that cannot be asked.
_SAID_BY_THE_GATEWAY: Final = (
    gettext_noop("Shopify does not find this order."),
    gettext_noop("It may have been deleted, or be older than the app may read."),
    gettext_noop("An administrator has to look at the Shopify connection."),
    gettext_noop("Shopify refused: %s"),
    gettext_noop("Shopify cannot be reached just now; nothing was changed."),
    gettext_noop("Try again in a moment."),
)


@dataclass(frozen=True, slots=True)
class CancelReason:
    value: str
    label: str


class Gateway(Protocol):
    def refresh(self, order: Order) -> None:
        """Read the order from Shopify now and project it. Raises ShopUnreachable."""

    def find_orders(self, *, emails: Sequence[str], phones: Sequence[str]) -> None:
        """Ask every store now for orders of these addresses that are not here, and read them.
        A store that cannot be asked is skipped."""

    def wake_search(self, *, emails: Sequence[str], phones: Sequence[str]) -> bool:
        """Have a worker do find_orders, where past orders of a store are still on their way.
        Returns whether any are."""

    def wake_reading(self, order_ids: Sequence[int]) -> None:
        """Ring for reads of these dirty orders. May be lost: the sweep finds them."""

    def suggest_refund(
        self,
        order: Order,
        *,
        lines: Sequence[LineQuantity] | None,
        shipping: Money | None,
        with_places: bool = False,
    ) -> SuggestedRefund:
        """`lines` None: everything that is left. `with_places`: also how and where each would go
        back to stock, which Shopify tells only apps that may read locations. Raises
        ShopUnreachable."""

    def suggest_return(
        self,
        order: Order,
        found: Return,
        *,
        lines: Sequence[LineQuantity],
        shipping: Money | None,
        with_places: bool = False,
    ) -> SuggestedRefund:
        """The same for items that are refunded through their return, which may take fees off.
        Raises ShopUnreachable."""

    def may_process_returns(self, store: Store) -> bool:
        """Whether the shop lets this app refund through a return, as far as is known. Asks
        nobody."""

    def cancel_reasons(self, store: Store) -> tuple[CancelReason, ...]:
        """The shop's own list (row F31), cached; Shopify's six where it cannot be read."""

    def unreachable_stores(self) -> set[int]:
        """Ids of the stores that have stopped answering and are left alone. Asks nobody."""

    def is_uninstalled(self, store: Store) -> bool:
        """Whether Shopify refuses our access to the shop, asked now. Raises ShopUnreachable."""

    def read_checkout(self, checkout: Checkout) -> CheckoutSnapshot | None:
        """The checkout as Shopify tells it now; None: it has none such (any more). Raises
        ShopUnreachable."""

    def read_consents(self, store: Store, customer_gid: str) -> Consents:
        """The customer's consents to marketing, read now; of a customer Shopify does not have:
        none. Raises ShopUnreachable."""

    def plan(self, action: OrderAction) -> list[Step]:
        """Pure: the requests of an unsaved action from its proposal, in order."""

    def wake(self, action_id: int, *, after_s: float = 0) -> None:
        """Ring for a worker, in so many seconds. May be lost: the sweep finds the row."""


@cache
def get_gateway() -> Gateway:
    gateway: Gateway = import_string(settings.ORDERS_GATEWAY)()
    return gateway
