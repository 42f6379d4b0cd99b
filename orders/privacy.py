"""Privacy requests: rows are the truth, a sweep works them off, and every step may run twice.

A deletion walks the registry in batches. Each batch, its place in the walk and its count of
evidence are one transaction under the request's lock, so a killed worker repeats nothing and
skips nothing, and two workers take turns.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from orders import audit, redactions
from orders.errors import ActionRefused, Refusal, ShopUnreachable
from orders.failpoints import failpoint
from orders.fields import seal, unseal
from orders.gateway import get_gateway
from orders.models import (
    AuditKind,
    PrivacyKind,
    PrivacyRequest,
    PrivacyState,
    RedactedIdentity,
    RedactedKind,
    Store,
)
from orders.models.privacy import OPEN_STATES
from orders.personal import REGISTRY, Holding, Scope, resolve

logger = logging.getLogger(__name__)

# Shopify's limit for all three; an export is offered as long.
DUE_WITHIN: Final = timedelta(days=30)
# shop/redact comes 48 hours after the app went; then the merchant has a week to think again.
UNINSTALLED_FOR: Final = timedelta(hours=48)
GRACE: Final = timedelta(days=7)
_BATCH: Final = 100
_WHILE_WATCHED_S: Final = 5.0
_TRY_AGAIN: Final = timedelta(minutes=10)


def ask(
    *, store: Store, kind: PrivacyKind, fingerprint: str, scope: Scope, now: datetime
) -> PrivacyRequest | None:
    """Write a request down. None: the same was asked before, and is or was dealt with."""
    try:
        with transaction.atomic():
            return PrivacyRequest.objects.create(
                store=store,
                kind=kind,
                fingerprint=redactions.digests(fingerprint)[0],
                received_at=now,
                due_at=now + DUE_WITHIN,
                sealed_scope=seal(msgspec.json.encode(scope).decode()),
            )
    except IntegrityError:
        return None


def note_uninstalled(store: Store, *, now: datetime) -> None:
    """Shopify refuses our access: the store is switched off. Nothing is deleted."""
    gone = Store.objects.filter(pk=store.pk, uninstalled_at=None)
    with transaction.atomic():
        if gone.update(uninstalled_at=now, is_active=False):
            audit.record(AuditKind.STORE, actor=None, store_id=store.pk, after="uninstalled")


def note_installed(store: Store) -> None:
    """A test call worked: a store that was taken for uninstalled is switched on again."""
    back = Store.objects.filter(pk=store.pk, uninstalled_at__isnull=False)
    with transaction.atomic():
        if back.update(uninstalled_at=None, is_active=True):
            audit.record(AuditKind.STORE, actor=None, store_id=store.pk, after="installed again")


def work_off(*, now: datetime, seconds: float) -> int:
    """Go on with every request that is due, for about so long; returns how many ended."""
    until, ended = time.monotonic() + seconds, 0
    for pk in PrivacyRequest.objects.due(now=now).order_by("due_at").values_list("pk", flat=True):
        if time.monotonic() >= until:
            break
        try:
            ended += run(pk, now=now, until=until)
        except Exception:
            # One that cannot be done must not keep the others waiting.
            logger.exception("privacy request %s failed", pk)
            PrivacyRequest.objects.filter(pk=pk).update(
                next_attempt_at=now + _TRY_AGAIN, note="It failed; the log says why. Tried again."
            )
    return ended


def work_soon(*, request_id: int, now: datetime) -> None:
    """An administrator does not want to wait for the sweep: a few seconds of it now."""
    PrivacyRequest.objects.open().filter(pk=request_id).exclude(state=PrivacyState.GRACE).update(
        next_attempt_at=None
    )
    if PrivacyRequest.objects.due(now=now).filter(pk=request_id).exists():
        run(request_id, now=now, until=time.monotonic() + _WHILE_WATCHED_S)


def run(request_id: int, *, now: datetime, until: float = float("inf")) -> bool:
    """Take one request as far as it goes before `until` (monotonic). True: it has ended."""
    request = PrivacyRequest.objects.select_related("store").get(pk=request_id)
    if request.kind == PrivacyKind.SHOP_REDACT and not _may_wipe(request, now):
        return request.state not in OPEN_STATES
    if request.state in {PrivacyState.WAITING, PrivacyState.GRACE}:
        _begin(request, now)
        request.refresh_from_db()
    if request.state == PrivacyState.READY and request.due_at <= now:
        return _end(request, PrivacyState.EXPIRED, now=now, note="")
    if request.state != PrivacyState.WORKING:
        return False
    redactions.append_to_file(_ledger_of(request))
    scope = _scope(request)
    while time.monotonic() < until:
        if not _step(request, scope, now):
            request.refresh_from_db()
            return request.state not in OPEN_STATES
        failpoint("masked")
    return False


def stop(*, request_id: int, by: User, now: datetime) -> None:
    """Call off the deletion of a shop before it begins. Raises ActionRefused."""
    waiting = {PrivacyState.WAITING, PrivacyState.GRACE}
    request = PrivacyRequest.objects.get(pk=request_id)
    can_stop = request.kind == PrivacyKind.SHOP_REDACT and request.state in waiting
    if not can_stop or not _end(
        request, PrivacyState.STOPPED, now=now, note=f"Stopped by {by.get_username()}.", by=by
    ):
        text = "Only the deletion of a shop that has not begun can be stopped."
        raise ActionRefused(Refusal("not_stoppable", text))


def export(*, request_id: int, by: User, now: datetime) -> Iterator[bytes]:
    """The person's data as JSON, piece by piece, read while it is sent. Raises ActionRefused.

    The download is audited before the first byte leaves.
    """
    request = PrivacyRequest.objects.select_related("store").get(pk=request_id)
    can_export = request.kind == PrivacyKind.DATA_REQUEST and request.sealed_scope
    if not can_export or request.due_at <= now:
        raise ActionRefused(Refusal("not_ready", "There is nothing to download any more."))
    scope = resolve(_scope(request))
    with transaction.atomic():
        audit.record(
            AuditKind.EXPORT, actor=by, store_id=request.store_id,
            what="privacy request", row=request.pk,
        )  # fmt: skip
        PrivacyRequest.objects.filter(pk=request.pk).update(done_at=now, note="Downloaded.")
    return _exported(request.store, scope, now)


def _may_wipe(request: PrivacyRequest, now: datetime) -> bool:
    """The second proof of a shop/redact, whose header anybody could have written: Shopify
    refuses our access, has for 48 hours, and for a week nobody here objected."""
    if request.state == PrivacyState.WORKING:
        return True
    later = PrivacyRequest.objects.filter(pk=request.pk)
    try:
        is_gone = get_gateway().is_uninstalled(request.store)
    except ShopUnreachable:
        later.update(next_attempt_at=now + _TRY_AGAIN, note="Shopify could not be asked yet.")
        return False
    if not is_gone:
        note_installed(request.store)
        note = "Refused: the app is still installed, so nothing is deleted."
        _end(request, PrivacyState.REFUSED, now=now, note=note)
        request.state = PrivacyState.REFUSED
        return False
    note_uninstalled(request.store, now=now)
    gone_at = Store.objects.get(pk=request.store_id).uninstalled_at or now
    if now < gone_at + UNINSTALLED_FOR:
        note = "Waits until the app has been uninstalled for 48 hours."
        later.update(next_attempt_at=gone_at + UNINSTALLED_FOR, note=note)
        return False
    if request.state == PrivacyState.WAITING:
        later.filter(state=PrivacyState.WAITING).update(
            state=PrivacyState.GRACE,
            grace_until=now + GRACE,
            next_attempt_at=now + GRACE,
            note="Stop it here if the shop's data must stay.",
        )
        return False
    return request.grace_until is not None and request.grace_until <= now


def _begin(request: PrivacyRequest, now: datetime) -> None:
    """Find out whose rows are meant, while they can still be found, and enter the ledger."""
    scope = resolve(_scope(request))
    is_export = request.kind == PrivacyKind.DATA_REQUEST
    identifiers = [] if is_export else list(_identifiers(scope))
    with transaction.atomic(durable=True):
        hashes = redactions.remember(request.store, identifiers, at=now)
        waiting = PrivacyRequest.objects.filter(pk=request.pk, state=request.state)
        waiting.update(
            state=PrivacyState.READY if is_export else PrivacyState.WORKING,
            sealed_scope=seal(msgspec.json.encode(scope).decode()),
            next_attempt_at=request.due_at if is_export else None,
            note="",
            evidence={"rows": _counts(scope) if is_export else {}, "identifiers": hashes[:100]},
        )


def _identifiers(scope: Scope) -> Iterator[tuple[RedactedKind, str]]:
    gids, orders = scope.customer_gids, scope.order_legacy_ids
    if scope.is_whole_store:
        gids = tuple(scope.customers().values_list("gid", flat=True))
        orders = tuple(scope.orders().values_list("legacy_id", flat=True))
    yield from ((RedactedKind.CUSTOMER, gid) for gid in gids)
    yield from ((RedactedKind.EMAIL, email) for email in scope.emails)
    yield from ((RedactedKind.PHONE, phone) for phone in scope.phones)
    yield from ((RedactedKind.ORDER, f"gid://shopify/Order/{number}") for number in orders)


def _ledger_of(request: PrivacyRequest) -> list[RedactedIdentity]:
    """The entries this request made, until they have been written to the file."""
    if request.progress:
        return []
    rows = RedactedIdentity.objects.filter(store=request.store).select_related("store")
    return list(rows.filter(redacted_at__gte=request.received_at))


def _step(request: PrivacyRequest, scope: Scope, now: datetime) -> bool:
    """Some batches. False: the walk is over, or has to wait."""
    with transaction.atomic(durable=True):
        locked = PrivacyRequest.objects.select_for_update(of=("self",)).get(pk=request.pk)
        if locked.state != PrivacyState.WORKING:
            return False
        looked_at: int | None = 0
        room = _BATCH
        while looked_at is not None and room > 0:
            looked_at = _advance(locked, scope, now)
            room -= looked_at or 0
        locked.save(update_fields=["progress", "evidence", "next_attempt_at", "note"])
        if locked.progress.get("is_over"):
            _end(locked, PrivacyState.DONE, now=now, note="")
    return looked_at is not None


def _advance(request: PrivacyRequest, scope: Scope, now: datetime) -> int | None:
    """The next batch of the walk, noted in the row in hand: how many rows were looked at.
    None: it is over, or has to wait."""
    progress, rows = request.progress, request.evidence["rows"]
    holdings = REGISTRY.of_customers()
    at = progress.get("holding", 0)
    if at < len(holdings):
        holding = holdings[at]
        batch = _mask_batch(holding, scope, progress.get("place", [0, 0]))
        if batch.place is None and _is_waiting(holding, scope):
            # From its beginning: what ends meanwhile may have any key.
            request.progress = {"holding": at}
            request.next_attempt_at = now + _TRY_AGAIN
            request.note = "Waits until actions or webhooks of these orders have ended."
            return None
        rows[holding.label] = rows.get(holding.label, 0) + batch.masked
        request.progress = (
            {"holding": at + 1} if batch.place is None else {"holding": at, "place": batch.place}
        )
        return batch.looked_at
    if scope.is_whole_store and (left := _wipe_batch(scope)):
        label, count = left
        rows[f"{label} deleted"] = rows.get(f"{label} deleted", 0) + count
        return count
    request.progress = {"is_over": True}
    return None


@dataclass(frozen=True, slots=True)
class Batch:
    """`place`: where the next one begins (which query set, after which key); None: there is
    none."""

    looked_at: int
    masked: int
    place: list[int] | None


def _mask_batch(holding: Holding, scope: Scope, place: list[int]) -> Batch:
    part, after = place
    found = list(holding.rows(scope))
    if part >= len(found):
        return Batch(0, 0, None)
    # Keys first: the rows are read again under their lock, as they are then.
    keys = list(
        found[part].order_by("pk").filter(pk__gt=after).values_list("pk", flat=True)[:_BATCH]
    )
    if not keys:
        return Batch(0, 0, [part + 1, 0])
    locked = holding.model._base_manager.select_for_update().filter(pk__in=keys)
    rows = [row for row in locked.order_by("pk") if not holding.holds or holding.holds(row, scope)]
    masked = holding.mask(rows) if rows else 0
    # A batch that was not full was the last of its query set.
    following = [part, keys[-1]] if len(keys) == _BATCH else [part + 1, 0]
    return Batch(len(keys), masked, following)


def _is_waiting(holding: Holding, scope: Scope) -> bool:
    if holding.waits_for is None:
        return False
    rows = holding.waits_for(scope)
    return any(holding.holds is None or holding.holds(row, scope) for row in rows.iterator())


def _wipe_batch(scope: Scope) -> tuple[str, int] | None:
    for label, wipe in REGISTRY.wipers.items():
        if count := wipe(scope, _BATCH):
            return label, count
    return None


def _end(
    request: PrivacyRequest,
    state: PrivacyState,
    *,
    now: datetime,
    note: str,
    by: User | None = None,
) -> bool:
    """The one way a request ends: what it knew of the person goes, the proof stays."""
    with transaction.atomic():
        still = PrivacyRequest.objects.filter(pk=request.pk, state__in=OPEN_STATES)
        if state != PrivacyState.DONE:
            still = still.filter(state=request.state)
        if state == PrivacyState.EXPIRED and request.done_at:
            state = PrivacyState.DONE
        ended = still.update(
            state=state, done_at=request.done_at or now, note=note, sealed_scope="",
            next_attempt_at=None,
        )  # fmt: skip
        if ended:
            audit.record(
                AuditKind.PRIVACY, actor=by, store_id=request.store_id, before=request.state,
                after=state, what=request.kind, row=request.pk,
            )  # fmt: skip
    return bool(ended)


def _scope(request: PrivacyRequest) -> Scope:
    return msgspec.json.decode(unseal(request.sealed_scope), type=Scope)


def _matching(holding: Holding, scope: Scope) -> Iterator[Any]:
    for rows in holding.rows(scope):
        for row in rows.order_by("pk").iterator(chunk_size=_BATCH):
            if not holding.holds or holding.holds(row, scope):
                yield row


def _counts(scope: Scope) -> dict[str, int]:
    holdings = REGISTRY.of_customers()
    return {holding.label: sum(1 for _ in _matching(holding, scope)) for holding in holdings}


def _exported(store: Store, scope: Scope, now: datetime) -> Iterator[bytes]:
    head = msgspec.json.encode({"store": store.domain, "exported_at": now})
    yield head[:-1] + b',"data":{'
    labels = dict.fromkeys(holding.label for holding in REGISTRY.of_customers())
    for number, label in enumerate(labels):
        yield (b"," if number else b"") + msgspec.json.encode(label) + b":["
        for index, row in enumerate(_rows_of(label, scope)):
            yield (b",\n" if index else b"\n") + msgspec.json.encode(row)
        yield b"]"
    yield b"}}\n"


def _rows_of(label: str, scope: Scope) -> Iterator[dict[str, Any]]:
    """A table may be held in several ways; each row is told once."""
    told = set()
    for holding in REGISTRY.of_customers():
        if holding.label != label:
            continue
        for row in _matching(holding, scope):
            if row.pk not in told:
                told.add(row.pk)
                yield _row(holding, row)


def _row(holding: Holding, row: Any) -> dict[str, Any]:
    """A row's personal columns and its number; documents as what they say, bytes as text."""
    found: dict[str, Any] = {"id": row.pk}
    for name, mask in holding.fields.items():
        value = mask.told(row) if mask.told else getattr(row, name)
        if isinstance(value, bytes | memoryview):
            value = bytes(value).decode(errors="replace")
        if name == "document" and value:
            value = msgspec.json.decode(value)
        found[name] = value
    return found


def replay() -> int:
    """After a restore: redact again everybody in the ledger whom the database still knows.

    Returns how many orders and customers were masked. Finds people by hashing what is stored,
    as the ledger itself names nobody.
    """
    masked = 0
    for store in Store.objects.all():
        if scope := _known_again(store):
            for holding in REGISTRY.of_customers():
                masked += _mask_all(holding, scope)
    logger.info("redactions replayed: %s rows", masked)
    return masked


def _mask_all(holding: Holding, scope: Scope) -> int:
    count, place = 0, [0, 0]
    while True:
        with transaction.atomic(durable=True):
            batch = _mask_batch(holding, scope, place)
        count += batch.masked
        if batch.place is None:
            return count
        place = batch.place


def _known_again(store: Store) -> Scope | None:
    """The people of a store's ledger, by its rows: what of theirs is older than the redaction."""
    ledger = {
        (kind, digest): at
        for kind, digest, at in RedactedIdentity.objects.filter(store=store).values_list(
            "kind", "digest", "redacted_at"
        )
    }
    if not ledger:
        return None

    def redacted_at(kind: RedactedKind, text: str) -> datetime | None:
        times = [ledger.get((kind, digest)) for digest in redactions.digests(text)] if text else []
        return max((at for at in times if at), default=None)

    orders, gids, emails, phones = [], set(), set(), set()
    columns = ("pk", "gid", "customer_gid", "email", "phone", "placed_at")
    for pk, gid, customer_gid, email, phone, placed_at in store.orders.values_list(*columns):
        times = [
            redacted_at(RedactedKind.ORDER, gid),
            redacted_at(RedactedKind.CUSTOMER, customer_gid),
            redacted_at(RedactedKind.EMAIL, email),
            redacted_at(RedactedKind.PHONE, phone),
        ]
        if any(at and (placed_at is None or placed_at < at) for at in times):
            orders.append(pk)
    live = set(
        store.orders.exclude(pk__in=orders)
        .filter(masked_at=None)
        .values_list("customer_gid", flat=True)
    )
    for gid, email, phone in store.customers.values_list("gid", "email", "phone"):
        if redacted_at(RedactedKind.CUSTOMER, gid) and gid not in live:
            gids.add(gid)
            emails.add(email)
            phones.add(phone)
    own = store.orders.filter(pk__in=orders).values_list("email", "phone", "legacy_id")
    emails |= {email for email, _phone, _number in own}
    phones |= {phone for _email, phone, _number in own}
    scope = Scope(
        store_id=store.pk,
        customer_gids=tuple(gids),
        emails=tuple(emails - {""}),
        phones=tuple(phones - {""}),
        order_ids=tuple(orders),
        order_legacy_ids=tuple(number for *_, number in own),
    )
    return REGISTRY.link(scope)
