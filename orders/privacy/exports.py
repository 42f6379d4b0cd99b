"""Export a person's data: counted when the export is offered, read while it is streamed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import msgspec
from django.contrib.auth.models import User
from django.db import models, transaction

from orders import audit
from orders.errors import ActionRefused, Refusal
from orders.models import AuditKind, PrivacyKind, PrivacyRequest, Store
from orders.privacy.registry import (
    REGISTRY,
    Holding,
    Scope,
    resolve,
)
from orders.privacy.requests import scope_of

_CHUNK: Final = 100


def export(*, request_id: int, by: User, now: datetime) -> Iterator[bytes]:
    """Stream the person's data as JSON, read while it is sent. Raises ActionRefused.

    The download is audited before the first byte is sent.
    """
    request = PrivacyRequest.objects.select_related("store").get(pk=request_id)
    can_export = request.kind == PrivacyKind.DATA_REQUEST and request.sealed_scope
    if not can_export or request.due_at <= now:
        raise ActionRefused(Refusal("not_ready", "There is nothing left to download."))
    scope = resolve(scope_of(request))
    with transaction.atomic():
        audit.record(
            AuditKind.EXPORT,
            actor=by,
            store_id=request.store_id,
            what="privacy request",
            row=request.pk,
        )
        PrivacyRequest.objects.filter(pk=request.pk).update(done_at=now, note="Downloaded.")
    return _exported(request.store, scope, now)


def counts(scope: Scope) -> dict[str, int]:
    """Count the rows an export would contain, by holding label."""
    holdings = REGISTRY.of_customers()
    return {holding.label: sum(1 for _ in _matching(holding, scope)) for holding in holdings}


def _exported(store: Store, scope: Scope, now: datetime) -> Iterator[bytes]:
    head = msgspec.json.encode({"store": store.domain, "exported_at": now})
    # The JSON is assembled by hand, so that rows can be streamed one by one.
    yield head[:-1] + b',"data":{'
    labels = dict.fromkeys(holding.label for holding in REGISTRY.of_customers())
    for number, label in enumerate(labels):
        yield (b"," if number else b"") + msgspec.json.encode(label) + b":["
        for index, row in enumerate(_rows_of(label, scope)):
            yield (b",\n" if index else b"\n") + msgspec.json.encode(row)
        yield b"]"
    yield b"}}\n"


def _rows_of(label: str, scope: Scope) -> Iterator[dict[str, object]]:
    """Yield a table's rows. Several holdings may cover one table; each row appears once."""
    seen = set()
    for holding in REGISTRY.of_customers():
        if holding.label != label:
            continue
        for row in _matching(holding, scope):
            if row.pk not in seen:
                seen.add(row.pk)
                yield _row(holding, row)


def _row(holding: Holding, row: models.Model) -> dict[str, object]:
    """Return a row's ID and personal columns, with documents parsed and bytes decoded."""
    found: dict[str, object] = {"id": row.pk}
    for name, mask in holding.fields.items():
        value: Any = mask.exported(row) if mask.exported else getattr(row, name)
        if isinstance(value, bytes | memoryview):
            value = bytes(value).decode(errors="replace")
        if name == "document" and value:
            value = msgspec.json.decode(value)
        found[name] = value
    return found


def _matching(holding: Holding, scope: Scope) -> Iterator[models.Model]:
    for rows in holding.rows(scope):
        for row in rows.order_by("pk").iterator(chunk_size=_CHUNK):
            if not holding.holds or holding.holds(row, scope):
                yield row
