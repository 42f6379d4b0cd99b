"""An installation with many conversations and orders, written by PostgreSQL itself in seconds.

One INSERT … SELECT per table. A year and a half of an ordinary shop: nearly everything is read,
answered, delivered and done, as it is where data piles up; a few rows of each kind are due.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from string import Template
from typing import Any, Final

from django.db import connection, models, transaction
from django.db.backends.utils import CursorWrapper

from bench.harness.sample import snapshots
from inbox.models import (
    Channel,
    Contact,
    Conversation,
    Identity,
    Message,
    Participant,
    WebhookDelivery,
    WebhookEndpoint,
)
from orders.models import (
    AuditEntry,
    Customer,
    Order,
    OrderAction,
    OrderEvent,
    OrderFulfillment,
    OrderLine,
    OrderRefund,
    OrderTracking,
    OrderTransaction,
    Store,
)
from orders.snapshot import encode
from shopify_sync.models import WebhookEvent, WebhookTally
from tests.support.database.copies import without_triggers

# n: 1 … count. Spread over 550 days, the highest number the newest.
_AT: Final = "now() - (($count - n) * interval '550 days' / $count)"
_FIRST: Final = "Amir,Anna,Ben,Chen,Dana,Elif,Femi,Greta,Hana,Igor,Jane,Karl,Lena,Maja,Noah,Olga"
_LAST: Final = "initcap(substr(translate(md5(n::text), '0123456789', 'aeiounrstl'), 1, 7))"
_NAME: Final = f"(string_to_array('{_FIRST}', ','))[1 + n % 16] || ' ' || {_LAST}"
_EMAIL: Final = f"lower((string_to_array('{_FIRST}', ','))[1 + n % 16]) || n || '@example.com'"
# Personal data is masked after 60 days.
_UNMASKED: Final = "CASE WHEN n < $count * 0.9 THEN '' ELSE {} END"
_PHONE: Final = "'+4915' || lpad(n::text, 9, '0')"


def build(store: Store, channel: Channel, *, agent_id: int, count: int, messages: int = 1) -> None:
    """Write `count` orders, contacts and conversations with this many messages each, and what
    belongs to them. Expects empty tables; PostgreSQL only."""
    endpoint = WebhookEndpoint.objects.create(name="ERP", event_types=["order.changed"])
    given = {"store": store.pk, "channel": channel.pk, "agent": agent_id, "count": count}
    given["endpoint"] = endpoint.pk
    parts = (*_orders(), _tallies(), *_inbox(messages))
    with transaction.atomic(), without_triggers(connection), connection.cursor() as cursor:
        # A busy machine may take longer than a web request is given.
        cursor.execute("SET statement_timeout = 0")
        with _without_indexes(cursor, [model._meta.db_table for model, *_ in parts]):
            for model, columns, source in parts:
                sql = _insert(model, columns, source).replace("$at", _AT)
                cursor.execute(Template(sql).substitute(given))
    with connection.cursor() as cursor:
        for model in (Order, Contact, Conversation, OrderAction):
            # Rows got explicit IDs, so that others could refer to them.
            name = model._meta.db_table
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), max(id)) FROM {name}"  # noqa: S608
            )
        cursor.execute("VACUUM ANALYZE" if not connection.in_atomic_block else "ANALYZE")


@contextmanager
def _without_indexes(cursor: CursorWrapper, tables: list[str]) -> Iterator[None]:
    """Build the indexes of these tables at the end: one by one, each row takes far longer."""
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s) AND NOT EXISTS "
        "(SELECT FROM pg_constraint WHERE conindid = quote_ident(indexname)::regclass)",
        [tables],
    )
    indexes = cursor.fetchall()
    for name, _definition in indexes:
        cursor.execute(f'DROP INDEX "{name}"')
    yield
    cursor.execute("SET LOCAL maintenance_work_mem = '256MB'")
    for _name, definition in indexes:
        cursor.execute(definition)


Part = tuple[type[models.Model], dict[str, str], str]


def _orders() -> list[Part]:
    model = snapshots(1, first=15)[0]
    document = encode(model).replace("'", "''")
    named = f"replace(replace('{document}', '1000000000015', (10^12 + n)::bigint::text), '#15', '#' || n)"
    paid = {"total": "89.97", "received": "89.97", "total_shop": "89.97"}
    order = {
        "id": "n",
        "store": "$store",
        "gid": "'gid://shopify/Order/' || (10^12 + n)::bigint",
        "legacy_id": "(10^12 + n)::bigint",
        "name": "'#' || n",
        "name_key": "n::text",
        "number": "n::text",
        "placed_at": "$at",
        "shop_updated_at": "$at",
        "read_started_at": "$at",
        "state_since": "$at",
        # Orders of the last month are open; one in 200 is canceled.
        "closed_at": "CASE WHEN n < $count * 0.94 THEN $at END",
        "cancelled_at": "CASE WHEN n % 200 = 7 THEN $at END",
        "financial_status": "CASE WHEN n % 40 = 3 THEN 'REFUNDED' ELSE 'PAID' END",
        "fulfillment_status": "CASE WHEN n < $count * 0.97 THEN 'FULFILLED' ELSE 'UNFULFILLED' END",
        "currency": "'EUR'",
        "shop_currency": "'EUR'",
        "refunded": "CASE WHEN n % 40 = 3 OR n % 200 = 7 THEN 89.97 ELSE 0 END",
        "net_payment": "CASE WHEN n % 40 = 3 OR n % 200 = 7 THEN 0 ELSE 89.97 END",
        "net_payment_shop": "89.97",
        "customer_gid": "'gid://shopify/Customer/' || (10^9 + n)::bigint",
        "email": _UNMASKED.format(_EMAIL),
        "phone": _UNMASKED.format(_PHONE),
        "masked_at": "CASE WHEN n < $count * 0.9 THEN now() END",
        "document": named,
        "version": "1",
        "dirty_seq": "2",
        "clean_seq": "2",
        **paid,
    }
    customer = {
        "store": "$store",
        "gid": "'gid://shopify/Customer/' || (10^9 + n)::bigint",
        "name": _UNMASKED.format(_NAME),
        "email": _UNMASKED.format(_EMAIL),
        "phone": _UNMASKED.format(_PHONE),
        "dirty_seq": "1",
        "clean_seq": "1",
        "shop_updated_at": "$at",
        "read_started_at": "$at",
    }
    part = {"order": "n"}
    shipped = "SELECT n FROM generate_series(1, $count) n WHERE n < $count * 0.97"
    refunded = "SELECT n FROM generate_series(1, $count) n WHERE n % 40 = 3"
    return [
        (Order, order, ""),
        (Customer, customer, ""),
        (
            OrderLine,
            part
            | {
                "gid": "'gid://shopify/LineItem/' || n",
                "title": "'Mug ' || n % 900",
                "sku": "'MUG-' || n % 900",
                **dict.fromkeys(("quantity", "current_quantity", "refundable_quantity"), "1"),
                "unfulfilled_quantity": "0",
                "total": "89.97",
            },
            "",
        ),
        (
            OrderFulfillment,
            part
            | {
                "gid": "'gid://shopify/Fulfillment/' || n",
                "status": "'SUCCESS'",
                "display_status": "'DELIVERED'",
                "shipped_at": "$at",
                "delivered_at": "$at",
            },
            shipped,
        ),
        (
            OrderTracking,
            part
            | {
                "fulfillment_gid": "'gid://shopify/Fulfillment/' || n",
                "number": "'JD' || lpad(n::text, 10, '0') || 'DE'",
                "company": "'DHL'",
            },
            shipped,
        ),
        (
            OrderTransaction,
            part
            | {
                "gid": "'gid://shopify/OrderTransaction/' || n",
                "kind": "'SALE'",
                "status": "'SUCCESS'",
                "amount": "89.97",
                "amount_shop": "89.97",
                "processed_at": "$at",
            },
            "",
        ),
        (
            OrderRefund,
            part
            | {
                "gid": "'gid://shopify/Refund/' || n",
                "refunded_at": "$at",
                **dict.fromkeys(("amount", "amount_shop", "moved", "moved_shop"), "89.97"),
                **dict.fromkeys(("failed", "waiting", "waiting_shop"), "0"),
            },
            refunded,
        ),
        (
            OrderEvent,
            part
            | {
                "kind": "k",
                "key": "k || CASE k WHEN 'refunded' THEN ':gid://shopify/Refund/' || n ELSE '' END",
                "occurred_at": "$at",
                "recorded_at": "$at",
                "source": "'shopify'",
                "amount": "CASE k WHEN 'refunded' THEN 89.97 END",
                "currency": "CASE k WHEN 'refunded' THEN 'EUR' ELSE '' END",
                "announced_at": "$at",
            },
            "SELECT n, k FROM generate_series(1, $count) n, "
            "unnest(ARRAY['placed', 'fulfilled', 'refunded']) k "
            "WHERE k <> 'refunded' OR n % 40 = 3",
        ),
        (
            OrderAction,
            part
            | {
                "kind": "'refund'",
                # One in a thousand has an unknown outcome still.
                "state": "CASE WHEN n % 40000 = 3 THEN 'needs_human' ELSE 'succeeded' END",
                "requested_by": "$agent",
                "requested_at": "$at",
                "nonce": "'n' || n",
                "digest": "md5(n::text)",
                "proposal": "'{}'::jsonb",
                "steps": "'[]'::jsonb",
                "idempotency_key": "md5(n::text)::uuid",
                "marker": "substr(md5(n::text), 1, 12)",
                "amount": "89.97",
                "amount_shop": "89.97",
                "currency": "'EUR'",
                "evidence_at": "$at",
                "sent_at": "$at",
                "step_last_sent_at": "$at",
                "settled_at": "CASE WHEN n % 40000 <> 3 THEN $at END",
            },
            refunded,
        ),
        (
            AuditEntry,
            {"at": "$at", "kind": "'order_action'", "order_id": "n", "detail": "'{}'::jsonb"},
            "",
        ),
        (
            WebhookEvent,
            {
                "store": "$store",
                "webhook_id": "'w' || n",
                "topic": "'orders/updated'",
                # Bodies older than two weeks have been deleted.
                "body": "CASE WHEN n > $count * 0.98 THEN '\\x7b7d' ELSE '\\x' END::bytea",
                "body_sha256": "md5(n::text)",
                "order_id": "n",
                "received_at": "$at",
                "state": "'done'",
            },
            "",
        ),
    ]


def _tallies() -> Part:
    """Eight processes' counts of each hour."""
    columns = {"store": "$store", "slot": "n % 8", "requests": "9", "stored": "9"}
    hour = "date_trunc('hour', now()) - (n / 8) * interval '1 hour'"
    return WebhookTally, columns | {"hour": hour}, ""


def _inbox(messages: int) -> list[Part]:
    several = f"SELECT n, m FROM generate_series(1, $count) n, generate_series(1, {messages}) m"  # noqa: S608
    return [
        (Contact, {"id": "n", "name": _NAME, "created_at": "$at"}, ""),
        (
            Identity,
            {
                "contact": "n",
                "kind": "k",
                "value": f"CASE k WHEN 'email' THEN {_EMAIL} ELSE {_PHONE} END",
                "added_at": "$at",
            },
            "SELECT n, k FROM generate_series(1, $count) n, unnest(ARRAY['email', 'phone']) k",
        ),
        (
            Conversation,
            {
                "id": "n",
                "contact": "n",
                "channel": "$channel",
                "external_id": "'c' || n",
                # One percent is open, and half of that has no assignee.
                "state": "CASE WHEN n % 100 = 1 THEN 'open' ELSE 'resolved' END",
                "assignee": "CASE WHEN n % 200 <> 1 THEN $agent END",
                "last_message_at": "$at",
                "last_message_preview": "'Where is order ' || n || '?'",
                "created_at": "$at",
                "waiting_since": "CASE WHEN n % 200 = 1 THEN $at END",
            },
            "",
        ),
        (
            Participant,
            {
                "conversation": "n",
                "contact": "n",
                "external_id": "'u' || n",
                "name": _NAME,
                "joined_at": "$at",
            },
            "",
        ),
        (
            Message,
            {
                "conversation": "n",
                "channel": "$channel",
                "kind": "CASE WHEN m % 2 = 1 THEN 'inbound' ELSE 'reply' END",
                "text": "'Where is order ' || n || '? It was to arrive last week.'",
                "external_id": "CASE WHEN m % 2 = 1 THEN 'm' || n || '-' || m ELSE '' END",
                "delivery_state": "CASE WHEN m % 2 = 1 THEN 'kept' ELSE 'sent' END",
                "created_at": "$at + m * interval '1 minute'",
                "arrived_at": "$at + m * interval '1 minute'",
            },
            several,
        ),
        (
            WebhookDelivery,
            {
                "endpoint": "$endpoint",
                "message_id": "'msg_' || n",
                "event_type": "'order.changed'",
                "payload": "'{}'",
                "state": "CASE WHEN n % 1000 = 1 THEN 'pending' ELSE 'delivered' END",
                "next_attempt_at": "CASE WHEN n % 1000 = 1 THEN now() END",
                # The log is kept for a month.
                "created_at": "now() - ($count - n) * interval '29 days' / $count",
                "queued_at": "now()",
            },
            "",
        ),
    ]


def _insert(model: type[models.Model], columns: dict[str, str], source: str) -> str:
    """Return the statement; columns that aren't named get their default."""
    fields = {field.name: field for field in model._meta.concrete_fields}
    sql = {name: _default(field) for name, field in fields.items() if not field.generated}
    if "id" not in columns:
        sql.pop("id")
    sql = {name: text for name, text in sql.items() if text} | columns
    names = ", ".join(f'"{fields[name].column}"' for name in sql)
    rows = source or "SELECT n FROM generate_series(1, $count) n"
    return (
        f"INSERT INTO {model._meta.db_table} ({names}) "  # noqa: S608
        f"SELECT {', '.join(sql.values())} FROM ({rows}) AS source"
    )


def _default(field: models.Field[Any, Any]) -> str:
    if field.null or field.has_db_default():
        return ""
    default = field.get_default()
    if isinstance(field, models.JSONField):
        return f"'{json.dumps(default)}'::jsonb"
    if isinstance(default, bool | int | float | Decimal):
        return str(default)
    return "''" if default in ("", None, b"") else f"'{default}'"
