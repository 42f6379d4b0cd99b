"""Bulk operations: a query over everything, run in the background and written to a JSONL file."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    IntValueNode,
    NameNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    parse,
    visit,
)
from graphql.execution import execute_sync

from core.json_types import JsonObject
from practice_store.context import (
    BulkOperation,
    Context,
)
from practice_store.graphql import bulk_rules
from practice_store.graphql.resolvers import (
    resolve_field,
    resolve_type,
)
from practice_store.graphql.resolvers.queries import found_orders
from practice_store.graphql.scalars import schema
from practice_store.state import (
    Order,
    Shop,
)

RUNNING_AT_ONCE: Final = 5
KEPT: Final = timedelta(days=7)
_PAGE: Final = 25
_NESTED: Final = 250
Json = JsonObject
T = TypeVar("T")


class Work(Protocol):
    """Runs a function under a shop's lock."""

    def __call__(self, domain: str, work: Callable[[Context], T], /) -> T: ...


class Bulk:
    """All shops' operations and their files. `work` runs a function under a shop's lock."""

    def __init__(
        self,
        *,
        work: Work,
        base_url: Callable[[], str],
        fails: Callable[[str], bool],
    ) -> None:
        self._work, self._base_url, self._fails = work, base_url, fails
        self._operations: dict[int, BulkOperation] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="practice-bulk-"))
        # Removes the files even if close() is never called.
        self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._threads: set[threading.Thread] = set()
        # Held while a writer is both registered and started: a thread can't be joined before its
        # start.
        self._beginning = threading.Lock()
        self._is_closed = False

    at_once = RUNNING_AT_ONCE

    def close(self) -> None:
        """Stop the writers and remove the files. Must not be called under a shop's lock."""
        with self._beginning:
            self._is_closed = True
            threads = list(self._threads)
        for thread in threads:
            thread.join(timeout=10)
        self._remove()

    def running(self, shop: Shop) -> int:
        """Return how many of the shop's operations haven't ended."""
        return sum(o.is_open and o.shop == shop.domain for o in self._operations.values())

    def start(self, context: Context, query: str) -> BulkOperation:
        """Create an operation for a query that passed `bulk_rules`."""
        made = BulkOperation(
            number_id=context.shop.new_id(),
            shop=context.shop.domain,
            query=query,
            created_at=context.now(),
        )
        self._operations[made.number_id] = made
        # It starts only after the request that created it.
        context.later(0.0, lambda _context: self._begin(made))
        return made

    def find(self, shop: Shop, number: int) -> BulkOperation | None:
        """Return the shop's operation with this number, or None."""
        found = self._operations.get(number)
        return found if found and found.shop == shop.domain else None

    def cancel(self, operation: BulkOperation) -> None:
        """Ask an open operation to stop; it ends before it writes its next page."""
        if operation.is_open:
            operation.status = "CANCELING"

    def file_of(self, token: str, now: datetime) -> Path | None:
        """Return the file behind a URL's token, for as long as Shopify keeps it; else None."""
        for operation in self._operations.values():
            done = operation.completed_at
            if operation.token == token and done and now - done < KEPT:
                return self._path(operation)
        return None

    def _path(self, operation: BulkOperation) -> Path:
        return self._folder / f"{operation.token}.jsonl"

    def _begin(self, operation: BulkOperation) -> None:
        thread = threading.Thread(target=self._run, args=(operation,), daemon=True)
        with self._beginning:
            if self._is_closed:
                return
            self._threads.add(thread)
            thread.start()

    def _run(self, operation: BulkOperation) -> None:
        try:
            self._write(operation)
        finally:
            self._threads.discard(threading.current_thread())

    def _write(self, operation: BulkOperation) -> None:
        if operation.status == "CREATED":
            operation.status = "RUNNING"
        ended = "COMPLETED"
        must_fail = self._fails(operation.shop)
        with self._path(operation).open("w", encoding="utf-8") as file:
            for lines in self._pages(operation):
                if self._is_closed:
                    return
                if operation.status == "CANCELING":
                    ended = "CANCELED"
                    break
                for line in lines:
                    file.write(json.dumps(line, separators=(",", ":")) + "\n")
                    operation.object_count += 1
                    operation.root_object_count += "__parentId" not in line
                if must_fail:
                    ended, operation.error_code = "FAILED", "INTERNAL_SERVER_ERROR"
                    break
        self._work(operation.shop, lambda context: self._end(context, operation, ended))

    def _end(self, context: Context, operation: BulkOperation, ended: str) -> None:
        operation.file_size = self._path(operation).stat().st_size
        address = f"{self._base_url()}/_bulk/{operation.token}.jsonl"
        if operation.object_count:
            if ended == "COMPLETED":
                operation.url = address
            else:
                operation.partial_data_url = address
        operation.completed_at = context.now()
        operation.status = ended
        context.emit(
            "bulk_operations/finish",
            {
                "admin_graphql_api_id": operation.id,
                "completed_at": operation.completed_at.isoformat(),
                "created_at": operation.created_at.isoformat(),
                "error_code": operation.error_code and operation.error_code.lower(),
                "status": ended.lower(),
                "type": "query",
            },
        )

    def _pages(self, operation: BulkOperation) -> Iterator[list[Json]]:
        """Yield the lines, a page of root objects at a time.

        The shop's lock is held for one page only, so that the shop can keep selling.
        """
        document = _with_limits(operation.query)
        rows = self._work(operation.shop, lambda c: found_orders(c, _search_of(operation.query)))
        for start in range(0, len(rows), _PAGE):
            page = rows[start : start + _PAGE]
            yield self._work(operation.shop, partial(_execute, document=document, page=page))


def _execute(context: Context, *, document: DocumentNode, page: list[Order]) -> list[Json]:
    context.only_orders = [o for o in page if o.number_id in context.shop.orders]
    result = execute_sync(
        schema(),
        document,
        context_value=context,
        field_resolver=resolve_field,
        type_resolver=resolve_type,
    )
    if result.errors:
        raise result.errors[0]
    lines: list[Json] = []
    for connection in (result.data or {}).values():
        _flatten(connection, None, lines)
    return lines


def _flatten(connection: Json, parent: str | None, lines: list[Json]) -> None:
    """Append a connection's objects as lines, each followed by those of its own connections."""
    for edge in connection["edges"]:
        node = edge["node"]
        nested = {k: v for k, v in node.items() if isinstance(v, dict) and "edges" in v}
        line = {k: v for k, v in node.items() if k not in nested}
        lines.append(line | ({"__parentId": parent} if parent else {}))
        for inner in nested.values():
            _flatten(inner, node["id"], lines)


def _search_of(query: str) -> Json:
    """Return the root connection's `query` argument."""
    for definition in parse(query).definitions:
        for selection in getattr(definition, "selection_set").selections:  # noqa: B009
            for argument in selection.arguments or ():
                if argument.name.value == "query":
                    return {"query": getattr(argument.value, "value", "")}
    return {}


def _with_limits(query: str) -> DocumentNode:
    """Add `first` to every connection: bulk queries don't need it, but our resolvers do."""
    types = TypeInfo(schema())

    class Limits(Visitor):
        def enter_field(self, node: FieldNode, *_: object) -> FieldNode | None:
            if not bulk_rules.is_connection(str(types.get_type()).strip("!")):
                return None
            own = [a for a in node.arguments or () if a.name.value not in {"first", "last"}]
            limit = ArgumentNode(
                name=NameNode(value="first"), value=IntValueNode(value=str(_NESTED))
            )
            return FieldNode(
                name=node.name,
                alias=node.alias,
                arguments=(*own, limit),
                directives=node.directives,
                selection_set=node.selection_set,
            )

    limited: DocumentNode = visit(parse(query), TypeInfoVisitor(types, Limits()))
    return limited
