"""Bulk operations: ask Shopify for a file of all orders, and stream that file.

The file is JSONL with one object per line. The children of a connection have their own lines, with
a `__parentId`; because we ask for groupObjects, they follow their parent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final

import msgspec
import urllib3
from django.conf import settings

from core import http
from core.json_types import JsonObject
from shopify_sync.api import documents
from shopify_sync.api.client import AdminClient
from shopify_sync.api.errors import (
    NeedsAdmin,
    Refused,
    Throttled,
    Unreachable,
)

Json = JsonObject
_CHUNK: Final = 256 * 1024
# For one download: longer than a step of the back-fill, shorter than its lease.
_WITHIN_S: Final = 45.0
_LONGEST_LINE: Final = 8 * 2**20
# The type in a child's GID -> the connection it belongs to.
_CONNECTION_OF: Final = {
    "LineItem": "lineItems",
    "FulfillmentOrder": "fulfillmentOrders",
    "FulfillmentOrderLineItem": "lineItems",
    "Return": "returns",
    "ReturnLineItem": "returnLineItems",
    "UnverifiedReturnLineItem": "returnLineItems",
}


_INCLUDE: Final = re.compile(r" ?@include\(if: \$(\w+)\)")


class NotRun(Refused):
    """Shopify will not run this query as a bulk operation, now or later."""


class FileGone(Exception):
    """The result's URL no longer works; Shopify keeps results for seven days."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A bulk operation's status; `url` is empty before COMPLETED or if nothing matched."""

    gid: str
    status: str
    error_code: str
    orders: int
    file_size: int
    url: str


@dataclass(frozen=True, slots=True)
class OrderLines:
    """One order assembled from its lines; `end` is the byte after them in the file.

    If a line could not be read, `data` is None, and `gid` names the order if it's known.
    """

    data: Json | None
    gid: str
    end: int


def ask(client: AdminClient, *, since: datetime) -> str:
    """Start a bulk operation for the orders changed since then; return its GID.

    Raises Throttled if the shop's five bulk operations are all in use, NotRun if Shopify refuses
    the query, and the other ShopifyErrors of the client.
    """
    found = f"updated_at:>='{since:%Y-%m-%dT%H:%M:%SZ}'"
    query = _permitted(documents.load("BulkOrdersInner"), client.extras)
    query = query.replace("$SEARCH", found)
    answer = client.execute("BulkOrders", {"query": query})["bulkOperationRunQuery"]
    if errors := answer["userErrors"]:
        text = str(errors[0]["message"])
        if errors[0].get("code") in {"OPERATION_IN_PROGRESS", "LIMIT_REACHED"}:
            raise Throttled(text, retry_after_s=30)
        raise NotRun(text)
    return str(answer["bulkOperation"]["id"])


def _permitted(document: str, extras: Mapping[str, bool]) -> str:
    """Return the selection of a bulk query, without the optional fields the app may not read.

    A bulk query takes no variables, so @include is resolved here, line by line. One refused field
    would end the whole operation.
    """
    _head, _brace, body = document.partition("{")

    def line(text: str) -> str:
        found = _INCLUDE.search(text)
        if found is None:
            return text
        return _INCLUDE.sub("", text) if extras.get(found[1]) else ""

    return "{" + "\n".join(map(line, body.split("\n")))


def look(client: AdminClient, gid: str) -> Operation | None:
    """Read an operation's status; None if Shopify doesn't know it (any more)."""
    data = client.read("BulkOperationStatus", {"id": gid}).get("bulkOperation")
    if not data:
        return None
    return Operation(
        gid=gid,
        status=str(data.get("status") or ""),
        error_code=str(data.get("errorCode") or ""),
        orders=int(data.get("rootObjectCount") or 0),
        file_size=int(data.get("fileSize") or 0),
        url=str(data.get("url") or ""),
    )


def orders_in(url: str, *, start: int) -> Iterator[OrderLines]:
    """Yield the orders of a result file from byte `start`, which must be where an order begins.

    Streams, with one order in memory at a time. Raises FileGone, Unreachable and NeedsAdmin.
    """
    root: Json | None = None
    parents: dict[str, Json] = {}
    gid, broken, end = "", False, start
    for line_end, line in _lines(url, start):
        data = _parse(line)
        parent = data.get("__parentId") if data else None
        if data is not None and parent is None:
            if gid or broken:
                yield OrderLines(None if broken else root, gid, end)
            root, gid, broken = data, str(data.get("id") or ""), not data.get("id")
            parents = {gid: data}
        elif data is None or not _adopt(data, str(parent), parents):
            broken = True
        end = line_end
    if gid or broken:
        yield OrderLines(None if broken else root, gid, end)


def _adopt(child: Json, parent: str, parents: dict[str, Json]) -> bool:
    """Add a child to its parent's connection; False if either is unknown."""
    gid = str(child.get("id") or "")
    kind = gid.removeprefix("gid://shopify/").split("/", 1)[0]
    connection = _CONNECTION_OF.get(kind)
    if parent not in parents or connection is None:
        return False
    parents[parent].setdefault(connection, {"nodes": []})["nodes"].append(child)
    parents[gid] = child
    return True


def _parse(line: bytes) -> Json | None:
    try:
        data = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _lines(url: str, start: int) -> Iterator[tuple[int, bytes]]:
    """Yield each non-empty line together with the position of the byte after it."""
    if not url.startswith("https://") and not settings.SHOPIFY_ADMIN_ORIGIN:
        raise NeedsAdmin(f"Shopify named a file that isn't served over HTTPS: {url[:60]}")
    at, rest = start, b""
    for chunk in _chunks(url, start):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            at += len(line) + 1
            if line.strip():
                yield at, line
        if len(rest) > _LONGEST_LINE:
            raise Unreachable("the result file contains a line longer than 8 MB")
    if rest.strip():
        yield at + len(rest), rest


def _chunks(url: str, start: int) -> Iterator[bytes]:
    headers = {"Range": f"bytes={start}-"} if start else {}
    pool = _pool(is_public_only=not settings.SHOPIFY_ADMIN_ORIGIN)
    try:
        with http.stream(pool, "GET", url, headers=headers, within_s=_WITHIN_S) as answer:
            if answer.status in {403, 404, 410}:
                raise FileGone(f"HTTP {answer.status}")
            if answer.status == 416:
                return
            if answer.status not in {200, 206}:
                raise Unreachable(f"the request for the result file returned HTTP {answer.status}")
            # A server that ignores Range starts at the beginning.
            skip = start if answer.status == 200 else 0
            # Not `stream`, which reads a chunk's size line however long it is.
            while chunk := answer.read(_CHUNK):
                yield chunk[skip:]
                skip = max(0, skip - len(chunk))
    except http.NoAnswer as error:
        raise Unreachable("the download of the result file broke off") from error


@cache
def _pool(*, is_public_only: bool) -> urllib3.PoolManager:
    # The address comes out of a response. urllib3's enforce_content_length makes a truncated file an error, not the end.
    return http.pool(connect_s=3.0, read_s=30.0, is_public_only=is_public_only)
