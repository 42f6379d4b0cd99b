"""An order read whole: every list that decides money or a status, to its end.

One request suffices for an ordinary order. What of a list is beyond its first page is read on:
connections page by page, and plain lists, which Shopify cuts without a word, once more with room
for more than there will be. What cannot be read to its end is named under `mapping.UNREAD`, and
nobody acts on that order.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from shopify_sync import mapping
from shopify_sync.api.client import AdminClient
from shopify_sync.api.errors import (
    NeedsAdmin,
    Refused,
    Unreachable,
)

logger = logging.getLogger(__name__)

Json = dict[str, Any]

# As OrderForPanel asks, and as the documents for long lists do: Shopify's own limit of a page.
LISTS_READ: Final = {"fulfillments": 15, "transactions": 25, "refunds": 20}
TRACKING_READ: Final = 10
MOST: Final = 250
# What is tried instead where so many cost more than one request may.
_FEWER: Final = 75
# So many pages of one list: Shopify pages through 25,000 objects.
_PAGES_AT_MOST: Final = 100
# The order changed while it was read in pieces so often: whoever asked has waited long enough.
_TRIES: Final = 3

# Of the fields that only some apps may read: what agents have to know before they act.
_WARNINGS: Final = frozenset({"disputes"})
_LONG_LISTS: Final = {
    "fulfillments": "OrderParcels",
    "transactions": "OrderTransactions",
    "refunds": "OrderRefunds",
}
# Connection -> the document of its further pages, of the order and of what is in its lists.
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
# In the snapshot's words.
_NAMES: Final = {"lineItems": "lines", "fulfillmentOrders": "fulfillment_orders"}


class Gone(Exception):
    """What was there a moment ago is not: the order changed while it was read."""


def read_order(client: AdminClient, gid: str) -> Json | None:
    """The `order` of OrderForPanel with all of its lists; None: Shopify has no such order.

    Raises ShopifyError and MalformedAnswer. An order that changes under the reading is read
    anew, and is for now unreachable where it does so again and again.
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
            logger.warning("order %s was not read whole: %s", gid, names)
        return data | {mapping.UNREAD: reading.unread}
    raise Unreachable(f"order {gid} changes faster than it can be read")


def _first(client: AdminClient, gid: str) -> Json | None:
    """With the fields that only some apps may read, as long as this one may: an approval that
    was withdrawn hides the whole order, and must not hide it for longer than this read."""
    while True:
        try:
            return _order(client.read("OrderForPanel", {"id": gid, **client.extras}))
        except NeedsAdmin as error:
            asked = {name for name, may in client.extras.items() if may}
            if error.status or not asked:
                raise
            # What is only shown goes first: a dispute warns of a loss.
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
        """Raises Gone, and ShopifyError."""
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
        """Whether the pieces are of one moment: nothing changed since the first of them."""
        if not self._requests:
            return True
        now = self._read("OrderVersion", {"id": self._gid}).get("order") or {}
        return bool(now.get("updatedAt") == self._data.get("updatedAt"))

    def _read(self, document: str, variables: Json, *, counts: bool = True) -> Json:
        self._requests += counts
        self._client.keep_alive()
        return self._client.read(document, variables)

    def _complete_list(self, name: str, asked: int) -> None:
        """A list as long as was asked for may have been cut."""
        if len(self._data.get(name) or ()) != asked:
            return
        for first in (MOST, _FEWER):
            try:
                order = self._read(_LONG_LISTS[name], {"id": self._gid, "first": first})["order"]
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
        self, owner: Json, name: str, document: str, gid: str | None, called: str
    ) -> None:
        """Read on where a page says that there are more; `called` is unread where that fails."""
        page = _page_info(owner.get(name))
        seen: set[str] = set()
        while page.get("hasNextPage"):
            cursor = page.get("endCursor")
            if not gid or not cursor or cursor in seen or len(seen) >= _PAGES_AT_MOST:
                self.unread.add(called)
                return
            seen.add(cursor)
            try:
                answer = self._read(document, {"id": gid, "after": cursor})
            except Refused:
                self.unread.add(called)
                return
            found = next(iter(answer.values()), None)
            if found is None:
                raise Gone
            owner[name]["nodes"] = [*mapping.nodes(owner[name]), *mapping.nodes(found.get(name))]
            page = _page_info(found.get(name))

    def _read_edits(self) -> None:
        """Names what was added. Words only: where they cannot be had, nothing is unread."""
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
