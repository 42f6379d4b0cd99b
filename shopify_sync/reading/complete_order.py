"""Read an order completely: every list that affects money or a status, to its end.

An ordinary order takes one request. Longer lists take more: connections are read page by page,
and plain lists, which Shopify truncates silently, once more with a generous limit. Lists that
cannot be read to their end are named under `mapping.UNREAD`, and no action is taken on such an
order.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from core.json_types import JsonObject
from shopify_sync import mapping
from shopify_sync.api.client import AdminClient
from shopify_sync.api.errors import (
    NeedsAdmin,
    Refused,
    Unreachable,
)

logger = logging.getLogger(__name__)

Json = JsonObject

# Must match the limits in OrderForPanel and _PanelFulfillment.
LISTS_READ: Final = {"fulfillments": 15, "transactions": 25, "refunds": 20}
TRACKING_READ: Final = 10
# Shopify's page limit, used to read a long plain list again.
MOST: Final = 250
# The second attempt, if MOST items cost more than one request may.
_FEWER: Final = 75
# Shopify pages through at most 25,000 objects, which is 100 pages of 250.
_PAGES_AT_MOST: Final = 100
# If the order changed during each of these attempts, the caller has waited long enough.
_TRIES: Final = 3

# The optional fields that agents need before they act; they're given up last.
_WARNINGS: Final = frozenset({"disputes"})
_LONG_LISTS: Final = {
    "fulfillments": "OrderParcels",
    "transactions": "OrderTransactions",
    "refunds": "OrderRefunds",
}
# Connection -> document with its further pages: for the order, then for the objects in its lists.
_ORDER_PAGES: Final = {
    "lineItems": "OrderLines",
    "fulfillmentOrders": "OrderWork",
    "returns": "OrderReturns",
}
_INNER_PAGES: Final[dict[str, dict[str, str]]] = {
    "fulfillments": {"fulfillmentLineItems": "ParcelLines"},
    "fulfillmentOrders": {"lineItems": "WorkLines"},
    "refunds": {"refundLineItems": "RefundLines", "transactions": "RefundTransactions"},
    "returns": {
        "returnLineItems": "ReturnLines",
        "exchangeLineItems": "ReturnExchanges",
        "reverseFulfillmentOrders": "ReturnReverseOrders",
    },
}
# Names that differ in OrderSnapshot.
_NAMES: Final = {"lineItems": "lines", "fulfillmentOrders": "fulfillment_orders"}


class Gone(Exception):
    """An object has disappeared between two requests: the order changed while it was read."""


def read_order(client: AdminClient, gid: str) -> Json | None:
    """Return the `order` of OrderForPanel with complete lists; None if Shopify has no such order.

    An order that changes while it's being read is read again; if that keeps happening, raises
    Unreachable. Also raises the other ShopifyErrors and MalformedAnswer.
    """
    for _try in range(_TRIES):
        data = _first(client, gid)
        if data is None:
            return None
        reading = _Reading(client, gid, data)
        try:
            with mapping.well_formed():
                reading.complete()
        except Gone:
            continue
        if not reading.is_one_state():
            continue
        if reading.unread:
            names = ", ".join(sorted(reading.unread))
            logger.warning("order %s was not read completely: %s", gid, names)
        return data | {mapping.UNREAD: reading.unread}
    raise Unreachable(f"order {gid} changes faster than it can be read")


def _first(client: AdminClient, gid: str) -> Json | None:
    """Read the order's first page with the optional fields this app may read.

    If Shopify has withdrawn an approval, it hides the whole order. Then drop optional fields and
    try again, so that the order stays readable.
    """
    while True:
        try:
            return _order(client.read("OrderForPanel", {"id": gid, **client.extras}))
        except NeedsAdmin as error:
            asked = {name for name, may in client.extras.items() if may}
            if error.status or not asked:
                raise
            # Drop the fields that are merely displayed first; a dispute warns of a loss.
            kept = asked & _WARNINGS if asked - _WARNINGS else set()
            client.extras = dict.fromkeys(kept, True)


def _order(answer: Json) -> Json | None:
    found: Json | None = answer.get("order")
    return found


class _Reading:
    """One order's lists, completed in place."""

    def __init__(self, client: AdminClient, gid: str, data: Json) -> None:
        self._client, self._gid, self._data = client, gid, data
        self.unread: set[str] = set()
        self._requests = 0

    def complete(self) -> None:
        """Read every list to its end, or note it in `unread`. Raises Gone and ShopifyError."""
        for name, asked in LISTS_READ.items():
            self._complete_list(name, asked)
        for name, document in _ORDER_PAGES.items():
            self._complete_pages(self._data, name, document, self._gid, _NAMES.get(name, name))
        for name, inner in _INNER_PAGES.items():
            for part in mapping.nodes(self._data.get(name)):
                for connection, document in inner.items():
                    self._complete_pages(
                        part, connection, document, part["id"], _NAMES.get(name, name)
                    )
        for parcel in mapping.nodes(self._data.get("fulfillments")):
            self._complete_tracking(parcel)
        for back in mapping.nodes(self._data.get("returns")):
            for way in mapping.nodes(back.get("reverseFulfillmentOrders")):
                self._complete_pages(
                    way, "lineItems", "ReverseOrderLines", way.get("id"), "returns"
                )
        if self._data.get("edited"):
            self._read_edits()

    def is_one_state(self) -> bool:
        """Return whether the order hasn't changed since the first request."""
        if not self._requests:
            return True
        now = self._read("OrderVersion", {"id": self._gid}).get("order") or {}
        return bool(now.get("updatedAt") == self._data.get("updatedAt"))

    def _read(self, document: str, variables: Json, *, counts: bool = True) -> Json:
        self._requests += counts
        self._client.keep_alive()
        return self._client.read(document, variables)

    def _complete_list(self, name: str, asked: int) -> None:
        """Read a plain list again if it's as long as requested, since it may have been cut."""
        if len(self._data.get(name) or ()) != asked:
            return
        for first in (MOST, _FEWER):
            try:
                variables = {"id": self._gid, "first": first, **self._optional(name)}
                order = self._read(_LONG_LISTS[name], variables)["order"]
            except Refused as error:
                logger.info("%s of %s, %s at once: %s", name, self._gid, first, error)
                continue
            if order is None:
                raise Gone
            self._data[name] = order.get(name) or []
            if len(self._data[name]) < first:
                return
            break
        self.unread.add(name)

    def _optional(self, name: str) -> Json:
        """Return the list's optional field, if the first read of the order was allowed it."""
        may = name == "transactions" and self._client.extras.get("tracing")
        return {"tracing": True} if may else {}

    def _complete_tracking(self, parcel: Json) -> None:
        if len(parcel.get("trackingInfo") or ()) != TRACKING_READ:
            return
        try:
            found = self._read("ParcelTracking", {"id": parcel["id"]}).get("fulfillment")
        except Refused:
            self.unread.add("fulfillments")
            return
        if found is None:
            raise Gone
        parcel["trackingInfo"] = found.get("trackingInfo") or []
        if len(parcel["trackingInfo"]) >= MOST:
            self.unread.add("fulfillments")

    def _complete_pages(
        self, owner: Json, name: str, document: str, gid: str | None, list_name: str
    ) -> None:
        """Append a connection's further pages; if one can't be read, `list_name` is unread."""
        page = _page_info(owner.get(name))
        seen: set[str] = set()
        while page.get("hasNextPage"):
            cursor = page.get("endCursor")
            if not gid or not cursor or cursor in seen or len(seen) >= _PAGES_AT_MOST:
                self.unread.add(list_name)
                return
            seen.add(cursor)
            try:
                answer = self._read(document, {"id": gid, "after": cursor})
            except Refused:
                self.unread.add(list_name)
                return
            found = next(iter(answer.values()), None)
            if found is None:
                raise Gone
            owner[name]["nodes"] = [*mapping.nodes(owner[name]), *mapping.nodes(found.get(name))]
            page = _page_info(found.get(name))

    def _read_edits(self) -> None:
        """Read which items were added by edits. Only displayed, so a failure isn't `unread`."""
        found: list[Json] = []
        after = None
        for _page in range(_PAGES_AT_MOST):
            try:
                answer = self._read("OrderEdits", {"id": self._gid, "after": after}, counts=False)
            except (Refused, NeedsAdmin):
                return
            agreements = (answer.get("order") or {}).get("agreements") or {}
            found += mapping.nodes(agreements)
            page = _page_info(agreements)
            after = page.get("endCursor")
            if not page.get("hasNextPage") or not after:
                break
        self._data["agreements"] = found


def _page_info(connection: Any) -> Json:
    return mapping.dig(connection, "pageInfo") or {}
