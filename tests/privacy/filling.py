"""A shop full of customers, each with their own canary in every place that can hold personal data."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.utils import timezone

from inbox.conversations import services as talks
from inbox.models import (
    Campaign,
    CampaignMessage,
    Channel,
    Claim,
    Contact,
    Conversation,
    Draft,
    Identity,
    Message,
)
from orders.models import (
    ActionState,
    Checkout,
    Customer,
    Order,
    OrderAction,
    OrderVersion,
    Store,
)
from orders.services import mark_dirty, record_snapshot
from orders.snapshot import OrderSnapshot
from shopify_sync import tasks
from shopify_sync.webhooks.signing import sign
from tests.support.orders.personal import KEPT, filled
from tests.support.shop.queues import messages_lost

SECRET = b"shpss_practice_demo"
FIRST_ORDER, FIRST_CUSTOMER = 6_310_248_000_000, 8_412_265_000_000


def canary(number: int) -> str:
    return f"kanari{number:04d}x"


def phone(number: int) -> str:
    return f"+49151771{number:05d}"


def email(number: int) -> str:
    return f"{canary(number)}@example.com"


def canaries(number: int) -> list[bytes]:
    return [canary(number).encode(), phone(number).encode()]


def customer_gid(number: int) -> str:
    return f"gid://shopify/Customer/{FIRST_CUSTOMER + number}"


def snapshot(number: int, at: datetime) -> OrderSnapshot:
    """The person's order as Shopify tells it, their canary in every text that may be personal."""

    def word(name: str) -> str:
        kind, field = name.split(".")
        return f"{field} {number}"[:40] if field in KEPT[kind] else f"{canary(number)} {field}"

    full: OrderSnapshot = filled(OrderSnapshot, word)
    assert full.customer
    return replace(
        full,
        gid=f"gid://shopify/Order/{FIRST_ORDER + number}",
        legacy_id=FIRST_ORDER + number,
        name=f"#{number}",
        currency="EUR",
        shop_currency="EUR",
        created_at=at,
        processed_at=at,
        updated_at=at,
        closed_at=None,
        email=email(number),
        phone=phone(number),
        customer=replace(
            full.customer,
            gid=customer_gid(number),
            email=email(number),
            phone=phone(number),
            legacy_id=FIRST_CUSTOMER + number,
            locale="de",
        ),
    )


def record(store: Store, number: int, at: datetime, **changes: Any) -> Order:
    told = replace(snapshot(number, at), **changes)
    now = timezone.now()
    pk = mark_dirty(store=store, gid=told.gid, legacy_id=told.legacy_id, now=now)
    order = Order.objects.select_related("store").get(pk=pk)
    # Of campaigns, other tests tell.
    with messages_lost():
        record_snapshot(
            order=order, snapshot=told, seq=order.dirty_seq, read_started_at=now, now=now
        )
    return order


def fill(store: Store, channel: Channel, by: User, count: int, *, start: int = 0) -> None:
    """`count` customers, each with an order, webhooks, a conversation and an action on it."""
    client, at = Client(), timezone.now() - timedelta(days=5)
    campaign, _ = Campaign.objects.get_or_create(
        name="c",
        defaults={"event_kind": "refunded", "subject": "s", "body": "b", "is_active": False},
    )
    types = ContentType.objects.get_for_models(Contact, Conversation)
    for number in range(start, start + count):
        # Its first state is kept as a version.
        record(store, number, at, note=f"{canary(number)} is away")
        order = record(store, number, at)
        Order.objects.filter(pk=order.pk).update(kept_reason=f"{canary(number)} agreed")
        Customer.objects.filter(gid=customer_gid(number)).update(
            tags=[f"{canary(number)} VIP"], note=f"{canary(number)} pays late"
        )
        deliver(client, store, number)
        message, _ = talks.receive(
            channel=channel,
            external_id=f"m-{canary(number)}",
            conversation_id=f"c-{canary(number)}",
            sender=talks.Sender(
                external_id=f"u-{canary(number)}",
                name=canary(number),
                email=email(number),
                phone=phone(number),
            ),
            text=f"I am {canary(number)}, call {phone(number)}",
            sent_at=timezone.now(),
            attachments=[talks.Attachment(name=f"{canary(number)}.jpg")],
        )
        Message.objects.filter(pk=message.pk).update(recipient=email(number))
        talks.note(conversation=message.conversation, by=by, text=f"{canary(number)} is nice")
        Draft.objects.create(
            user=by, conversation=message.conversation, text=f"Dear {canary(number)},"
        )
        Conversation.objects.filter(pk=message.conversation_id).update(subject=canary(number))
        Contact.objects.filter(conversations=message.conversation_id).update(language="de")
        Claim.objects.create(
            contact=message.conversation.contact,
            kind="email",
            value=email(number),
            source=canary(number),
        )
        Identity.objects.create(
            contact=message.conversation.contact,
            kind="shopify_customer",
            value=f"{store.pk}:{customer_gid(number)}",
            source=canary(number),
        )
        for thing in (message.conversation, message.conversation.contact):
            LogEntry.objects.create(
                user=by,
                content_type=types[type(thing)],
                object_id=str(thing.pk),
                action_flag=CHANGE,
                object_repr=canary(number),
                change_message=canary(number),
            )
        act(order, number, by)
        CampaignMessage.objects.create(
            campaign=campaign,
            event=order.events.first(),
            via="email",
            state="written",
            recipient=email(number),
            subject=canary(number),
            body=canary(number),
            error=f"refused <{email(number)}>",
            message=message,
        )
        checkout = Checkout.objects.create(
            store=store,
            gid=f"gid://shopify/AbandonedCheckout/{number + 1}",
            customer_gid=customer_gid(number),
            name=canary(number),
            email=email(number),
            phone=phone(number),
        )
        CampaignMessage.objects.create(
            campaign=campaign,
            checkout=checkout,
            via="sms",
            state="written",
            recipient=phone(number),
            body=canary(number),
            error=f"refused {phone(number)}",
        )


def deliver(client: Client, store: Store, number: int) -> None:
    """An order's webhook, and one that names the person only."""
    who = {"id": FIRST_CUSTOMER + number, "email": email(number), "phone": phone(number)}
    bodies = {
        "orders/updated": {"id": FIRST_ORDER + number, "note": canary(number), "customer": who},
        "customers/update": {**who, "first_name": canary(number)},
    }
    for topic, body in bodies.items():
        raw = json.dumps(body).encode()
        if number % 2:
            raw = raw.replace(b"@", b"\\u0040")
        headers = {
            "X-Shopify-Topic": topic,
            "X-Shopify-Shop-Domain": store.domain,
            "X-Shopify-Webhook-Id": f"{topic}-{number}",
            "X-Shopify-Hmac-Sha256": sign(raw, SECRET),
        }
        door = "/webhooks/shopify/"
        # The practice store has no such order: what it tells is recorded by `record`.
        with patch.object(tasks, "fetch_order"):
            client.post(door, raw, content_type="application/json", headers=headers)


def act(order: Order, number: int, by: User, **changes: Any) -> OrderAction:
    """An ended refund with the agent's words in all four places."""
    now, marker = timezone.now(), f"{number:010x}"
    note = f"{canary(number)} was angry [ax:{marker}]"
    values: dict[str, Any] = {
        "order": order,
        "requested_by": by,
        "kind": "refund",
        "nonce": str(number),
        "digest": "d",
        "marker": marker,
        "amount": "5.00",
        "currency": "EUR",
        "state": ActionState.SUCCEEDED,
        "settled_at": now,
        "evidence_at": now,
        "staff_note": canary(number),
        "message": f"Declined by sara. {canary(number)} called",
        "proposal": {
            "staff_note": canary(number),
            "amount": "5.00",
            "facts": {"refunded": "0 EUR"},
        },
        "steps": [
            {
                "goal": "cancel_order",
                "target": order.gid,
                "document": "OrderCancel",
                "variables": {"orderId": order.gid, "staffNote": note},
            },
            {
                "goal": "refund",
                "target": order.gid,
                "document": "RefundCreate",
                "variables": {"input": {"note": note, "amount": "5.00"}, "idempotencyKey": "k"},
            },
        ],
    }
    return OrderAction.objects.create(**values | changes)


def dump() -> bytes:
    """Every byte the database keeps: SQLite's file, PostgreSQL's rows; and what is compressed."""
    return stored() + b"\n".join(v.text.encode() for v in OrderVersion.objects.iterator())


def stored() -> bytes:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.fetchall()
            cursor.execute("PRAGMA database_list")
            path = cursor.fetchone()[2]
            with open(path, "rb") as file:
                return file.read()
        found = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608  our own names
            for row in cursor.fetchall():
                found += [bytes(v) if isinstance(v, memoryview) else str(v).encode() for v in row]
        return b"\n".join(found)
