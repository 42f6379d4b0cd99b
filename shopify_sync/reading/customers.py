"""Update customers in our copy: webhook or page view -> dirty row -> fresh read.

No agent waits for these reads, so they leave half of the shop's rate limit to the agents. And if
the app may not read customers, orders must not suffer for it.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from typing import Final

from celery.exceptions import SoftTimeLimitExceeded
from django.db.models import F
from django.utils import timezone

from core.database.leases import first_due
from core.json_types import JsonObject
from orders.models import Customer, Store
from orders.services import mark_customer_dirty, note_merge, record_customer
from shopify_sync import mapping
from shopify_sync.api.errors import (
    NeedsAdmin,
    ShopifyError,
    Throttled,
)
from shopify_sync.stores.clients import client_for

logger = logging.getLogger(__name__)

_LEASE: Final = timedelta(seconds=60)
_TURN_S: Final = 10.0
_CHUNK: Final = 50
_BACKOFF_S: Final = (5, 15, 60, 300, 900)
# A missing scope takes a person to fix, and the doctor reports it, so retry rarely.
_REFUSED_S: Final = 3600.0
_GID: Final = "gid://shopify/Customer/"
_MERGE_KEYS: Final = ("admin_graphql_api_customer_kept_id", "admin_graphql_api_customer_deleted_id")


def take_hint(store: Store, topic: str, body: JsonObject, now: datetime) -> bool:
    """Mark the customer in a customers/… webhook dirty, or note a completed merge.

    Returns False if the webhook names no customer.
    """
    if topic == "customers/merge":
        kept, gone = (_gid(body.get(key)) for key in _MERGE_KEYS)
        if not kept or not gone or kept == gone or body.get("status") != "completed":
            return False
        note_merge(store=store, kept_gid=kept, gone_gid=gone, now=now)
        return True
    # The consent topics have customer_id instead of id.
    gid = _gid(body.get("id") or body.get("customer_id"))
    if gid:
        mark_customer_dirty(store=store, gid=gid, now=now)
    return bool(gid)


def read_waiting(store_id: int) -> int:
    """Read the store's due customers for at most _TURN_S seconds; return how many were read."""
    until, read = time.monotonic() + _TURN_S, 0
    while time.monotonic() < until:
        ids = first_due(Customer.objects.due_for_reading(now=timezone.now()), store_id, _CHUNK)
        before = read
        for customer_id in ids:
            read += fetch_customer(customer_id)
            if time.monotonic() > until:
                return read
        if read == before:
            break  # nothing is due, or the shop cannot be read just now
    return read


def fetch_customer(customer_id: int) -> bool:
    """Read a dirty customer and store the result.

    Returns False if there's nothing to do, or if it failed and will be retried. A lease keeps it
    to one fetcher per customer; no transaction is open during the read.
    """
    now = timezone.now()
    due = Customer.objects.due_for_reading(now=now).filter(pk=customer_id)
    if not due.update(fetch_lease_until=now + _LEASE):
        return False
    customer = Customer.objects.select_related("store").get(pk=customer_id)
    try:
        data = client_for(customer.store, is_background=True).read(
            "CustomerDetails", {"id": customer.gid}
        )
        found = data.get("customer")
        details = mapping.customer_details(found) if found else None
        return record_customer(
            customer_id=customer.pk, details=details, seq=customer.dirty_seq, read_started_at=now
        )
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:  # noqa: BLE001  any failure postpones the row
        _failed(customer, error)
        return False


def _failed(customer: Customer, error: Exception) -> None:
    wait_s: float = _BACKOFF_S[min(customer.fetch_failures, len(_BACKOFF_S) - 1)]
    if isinstance(error, Throttled):
        wait_s = min(max(error.retry_after_s, 0.1), _BACKOFF_S[-1])
    if isinstance(error, NeedsAdmin):
        wait_s = _REFUSED_S
    now = timezone.now()
    Customer.objects.filter(pk=customer.pk).update(
        fetch_failures=F("fetch_failures") + (0 if isinstance(error, Throttled) else 1),
        fetch_lease_until=None,
        fetch_after=now + timedelta(seconds=wait_s),
    )
    is_known = isinstance(error, ShopifyError | mapping.MalformedAnswer)
    logger.warning("customer %s was not read: %s", customer.pk, error, exc_info=not is_known)


def _gid(value: object) -> str:
    """Return a customer's GID from a numeric ID or a GID; "" for anything else."""
    text = str(value).removeprefix(_GID) if isinstance(value, int | str) else ""
    is_number = text.isascii() and text.isdigit() and len(text) < 20
    return f"{_GID}{int(text)}" if is_number and int(text) < 2**63 else ""
