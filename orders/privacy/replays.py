"""After restoring a backup, redact again the people it brought back."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction

from orders.models import RedactedIdentity, RedactedKind, Store
from orders.privacy import ledger as redactions
from orders.privacy.deletion import mask_batch
from orders.privacy.registry import (
    REGISTRY,
    Holding,
    Scope,
)

logger = logging.getLogger(__name__)


def replay() -> int:
    """Redact everyone in the ledger who is back in the restored database.

    Returns how many rows were masked or deleted. People are found by hashing what is stored, since
    the ledger itself names no one.
    """
    masked = 0
    for store in Store.objects.all():
        if scope := _scope_to_redact(store):
            for holding in REGISTRY.of_customers():
                masked += _mask_all(holding, scope)
    logger.info("redactions replayed: %s rows", masked)
    return masked


def _mask_all(holding: Holding, scope: Scope) -> int:
    count, place = 0, [0, 0]
    while True:
        with transaction.atomic(durable=True):
            batch = mask_batch(holding, scope, place)
        count += batch.masked
        if batch.place is None:
            return count
        place = batch.place


def _scope_to_redact(store: Store) -> Scope | None:
    """Find a store's rows that belong to someone in the ledger and predate their redaction."""
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
    # A customer with an order from after the redaction has made a new start, and stays.
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
