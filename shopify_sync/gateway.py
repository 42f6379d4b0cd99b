"""The implementation of orders.shopify_port that talks to Shopify."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from django.core.cache import cache
from django.db import OperationalError as DatabaseError
from django.utils import timezone
from django.utils.translation import gettext as _

from core import queue
from core.json_types import JsonObject
from orders.checkout_snapshot import (
    CheckoutSnapshot,
    Consents,
)
from orders.errors import ShopUnreachable
from orders.lock_waits import is_lock_wait
from orders.models import Checkout, Order, OrderAction, Store
from orders.money import Money
from orders.shopify_port import (
    CANCEL_REASON_LABELS,
    CancelReason,
    Step,
    SuggestedRefund,
)
from orders.snapshot import LineQuantity, Return
from orders.statuses import return_units
from shopify_sync import mapping
from shopify_sync.actions import mutations
from shopify_sync.actions.session import ShopifyActionSession
from shopify_sync.api import breaker
from shopify_sync.api.errors import (
    NeedsAdmin,
    ShopifyError,
)
from shopify_sync.models import Backfill
from shopify_sync.reading import (
    checkouts,
    compliance,
    orders,
    search,
)
from shopify_sync.stores.clients import (
    RETURN_SCOPE,
    client_for,
    has_scope,
)

logger = logging.getLogger(__name__)

# Cache lifetimes; _SEARCH_AGAIN_S limits repeated searches for the same addresses.
_REASONS_FRESH_S: Final = 60 * 60
_SEARCH_AGAIN_S: Final = 60
_BACKFILL_FRESH_S: Final = 5
_RESTING_FRESH_S: Final = 2


class ShopifyGateway:
    """Implements orders.shopify_port.Gateway, which documents what each method promises.

    Every error of Shopify's leaves here as ShopUnreachable, with a sentence for the agent.
    """

    def refresh(self, order: Order) -> None:
        """Read and project the order; ShopUnreachable also if its row stays locked for too long."""
        try:
            found = orders.refresh(order)
        except (ShopifyError, mapping.MalformedAnswer) as error:
            raise _unreachable(error) from error
        except DatabaseError as error:
            if not is_lock_wait(error):
                raise
            raise ShopUnreachable(
                _("Someone else is working on this order right now. Nothing was changed."),
                hint=_("Try again in a moment."),
            ) from error
        if not found:
            raise ShopUnreachable(
                _("Shopify can’t find this order."),
                hint=_("It may have been deleted, or it’s older than this app is allowed to read."),
                is_lasting=True,
            )

    def find_orders(self, *, emails: Sequence[str], phones: Sequence[str]) -> None:
        """Search every active store now, in this process."""
        search.find_orders(emails=emails, phones=phones)

    def wake_search(self, *, emails: Sequence[str], phones: Sequence[str]) -> bool:
        """Enqueue a search if a back-fill is open, at most once a minute for the same addresses."""
        if not cache.get_or_set("backfill_open", _is_backfilling, _BACKFILL_FRESH_S):
            return False
        key = "search:" + sha256(repr((sorted(emails), sorted(phones))).encode()).hexdigest()
        if (emails or phones) and cache.add(key, True, _SEARCH_AGAIN_S):
            queue.enqueue(
                "shopify_sync.tasks.find_orders",
                list(emails),
                list(phones),
                expires_after_s=_SEARCH_AGAIN_S * 15,
            )
        return True

    def wake_reading(self, order_ids: Sequence[int]) -> None:
        """Enqueue a read for each of these dirty orders."""
        queue.enqueue_each("shopify_sync.tasks.fetch_order", order_ids)

    def suggest_refund(
        self,
        order: Order,
        *,
        lines: Sequence[LineQuantity] | None,
        shipping: Money | None,
        with_places: bool = False,
    ) -> SuggestedRefund:
        """Ask Shopify for its `suggestedRefund`; `lines=None` means a full refund."""
        variables: JsonObject = {
            "id": order.gid,
            "suggestFullRefund": lines is None,
            "withPlaces": with_places,
        }
        if lines is not None:
            variables["refundLineItems"] = [
                {"lineItemId": line.line_gid, "quantity": line.quantity} for line in lines
            ]
            variables["shippingAmount"] = shipping.plain() if shipping else None
            variables["refundDuties"] = mutations.refund_duties(order.snapshot.duties_of(lines))
        try:
            data = client_for(order.store).read("SuggestedRefund", variables)
            suggestion = (data.get("order") or {}).get("suggestedRefund")
            if suggestion is None:
                raise mapping.MalformedAnswer("no suggested refund")
            return mapping.suggested_refund(suggestion)
        except (ShopifyError, mapping.MalformedAnswer) as error:
            raise _unreachable(error) from error

    def suggest_return(
        self,
        order: Order,
        found: Return,
        *,
        lines: Sequence[LineQuantity],
        shipping: Money | None,
        with_places: bool = False,
    ) -> SuggestedRefund:
        """Ask Shopify for the return's suggested outcome, which may deduct return fees."""
        variables: JsonObject = {
            "id": order.gid,
            "withPlaces": with_places,
            "returnId": found.gid,
            "returnLineItems": [
                {"id": units.line.gid, "quantity": units.quantity}
                for units in return_units.take(found, lines)
            ],
            "refundShipping": mutations.return_shipping(shipping),
            "refundLineItems": [
                {"lineItemId": line.line_gid, "quantity": line.quantity} for line in lines
            ],
        }
        try:
            data = client_for(order.store).read("SuggestedReturn", variables)
            suggestion = mapping.suggested_return(data)
        except (ShopifyError, mapping.MalformedAnswer) as error:
            raise _unreachable(error) from error
        # Shopify may suggest nothing for a return whose units have all been processed.
        return suggestion or self.suggest_refund(
            order, lines=lines, shipping=shipping, with_places=with_places
        )

    def may_process_returns(self, store: Store) -> bool:
        """Look up the scope as of the last connection check, without calling Shopify."""
        return has_scope(store, RETURN_SCOPE)

    def cancel_reasons(self, store: Store) -> tuple[CancelReason, ...]:
        """Return the shop's reasons except hidden ones; cached for an hour, fallback included."""
        key = f"cancel_reasons:{store.pk}"
        values = cache.get(key)
        if values is None:
            values = self._read_reasons(store)
            cache.set(key, values, _REASONS_FRESH_S)
        hidden = set(store.hidden_cancel_reasons)
        # The reasons we know in our order, then any that Shopify has added since.
        ordered = [v for v in CANCEL_REASON_LABELS if v in values]
        ordered += [v for v in values if v not in CANCEL_REASON_LABELS]
        return tuple(
            CancelReason(v, str(CANCEL_REASON_LABELS.get(v, v.replace("_", " ").title())))
            for v in ordered
            if v not in hidden
        )

    def unreachable_stores(self) -> set[int]:
        """Return the IDs of stores whose circuit breaker is open, at most two seconds old."""
        found: set[int] | None = cache.get("stores_resting")
        if found is None:
            found = breaker.resting(now=timezone.now())
            cache.set("stores_resting", found, _RESTING_FRESH_S)
        return found

    def is_uninstalled(self, store: Store) -> bool:
        """Ask Shopify now; only a clear refusal of our access counts."""
        try:
            return compliance.is_refused(store)
        except ShopifyError as error:
            raise _unreachable(error) from error

    def read_checkout(self, checkout: Checkout) -> CheckoutSnapshot | None:
        """Read it as a background request, which leaves half of the rate limit to agents."""
        try:
            return checkouts.read_checkout(checkout)
        except (ShopifyError, mapping.MalformedAnswer) as error:
            raise _unreachable(error) from error

    def read_consents(self, store: Store, customer_gid: str) -> Consents:
        """Read them as a background request, like a checkout."""
        try:
            return checkouts.read_consents(store, customer_gid)
        except (ShopifyError, mapping.MalformedAnswer) as error:
            raise _unreachable(error) from error

    def plan(self, action: OrderAction) -> list[Step]:
        """Freeze the action's requests at today's documents and API version."""
        return mutations.plan(action)

    def wait_s(self, store_id: int) -> float:
        """Ask the store's circuit breaker."""
        return breaker.wait_s(store_id, now=timezone.now())

    def action_session(
        self, action: OrderAction, *, renew: Callable[[], bool]
    ) -> ShopifyActionSession:
        """Begin a session; its first read connects."""
        return ShopifyActionSession(action, renew=renew)

    def _read_reasons(self, store: Store) -> list[str]:
        try:
            data = client_for(store).read("CancelReasons", {})
            values = [v["name"] for v in data["__type"]["enumValues"]]
        except (ShopifyError, KeyError, TypeError):
            logger.warning("could not read the cancel reasons of %s", store.domain)
            return list(CANCEL_REASON_LABELS)
        return values


def _is_backfilling() -> bool:
    return Backfill.objects.open().filter(store__is_active=True).exists()


def _unreachable(error: Exception) -> ShopUnreachable:
    if isinstance(error, NeedsAdmin):
        hint = _("Ask an administrator to check the Shopify connection.")
        return ShopUnreachable(_("Shopify refused: %s") % error, hint=hint, is_lasting=True)
    return ShopUnreachable(
        _("Shopify can’t be reached right now. Nothing was changed."),
        hint=_("Try again in a moment."),
    )
