"""Webhook subscriptions."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from core.json_types import JsonObject
from practice_store.context import Context
from practice_store.errors import (
    UserError,
    all_of,
)
from practice_store.graphql.resolvers.base import (
    RESOLVERS,
    Args,
    connection,
    number,
    payload,
    resolves,
)
from practice_store.state import Subscription

_PUB_SUB: Final = re.compile(r"pubsub://[\w-]+:[\w.~%+-]+\Z")
_NAME: Final = re.compile(r"\A[A-Za-z0-9_-]{1,50}\Z")


@resolves("QueryRoot", "webhookSubscriptions")
def _subscriptions(_parent: object, context: Context, args: Args) -> JsonObject:
    rows = list(context.shop.subscriptions.values())
    if topics := args.get("topics"):
        rows = [row for row in rows if row.topic in topics]
    if match := re.match(r"id:(\d+)\Z", args.get("query") or ""):
        rows = [row for row in rows if row.number_id == int(match[1])]
    return connection(rows, args)


@resolves("QueryRoot", "webhookSubscriptionsCount")
def _count(_parent: object, context: Context, _args: Args) -> JsonObject:
    return {"count": len(context.shop.subscriptions), "precision": "EXACT"}


def _may_read_orders(context: Context) -> bool:
    return not context.scopes or bool({"read_orders", "write_orders"} & context.scopes)


@resolves("Mutation", "webhookSubscriptionCreate")
def _create(_parent: object, context: Context, args: Args) -> JsonObject:
    data = args["webhookSubscription"]

    def work() -> Args:
        uri = data.get("uri") or data.get("callbackUrl") or ""
        if args["topic"].startswith("CHECKOUTS_") and not _may_read_orders(context):
            raise UserError("You do not have access to this topic", ["topic"])
        _check(context, uri, args["topic"], data.get("name"), None)
        _check_filter(data.get("filter"))
        now = context.now()
        row = Subscription(
            number_id=context.shop.new_id(),
            topic=args["topic"],
            uri=uri,
            name=data.get("name"),
            format=data.get("format") or "JSON",
            filter=data.get("filter"),
            include_fields=data.get("includeFields") or [],
            metafield_namespaces=data.get("metafieldNamespaces") or [],
            created_at=now,
            updated_at=now,
        )
        context.shop.subscriptions[row.number_id] = row
        return {"webhookSubscription": row}

    return payload(work, {"webhookSubscription": None})


@resolves("Mutation", "webhookSubscriptionUpdate")
def _update(_parent: object, context: Context, args: Args) -> JsonObject:
    data = args["webhookSubscription"]

    def work() -> Args:
        row = context.shop.subscriptions.get(number(args["id"]))
        if row is None:
            raise UserError("Webhook subscription does not exist", ["id"])
        uri = data.get("uri", data.get("callbackUrl", row.uri))
        _check(context, uri, row.topic, data.get("name"), row)
        row.uri = uri
        row.name = data.get("name", row.name)
        _check_filter(data.get("filter"))
        row.filter = data.get("filter", row.filter)
        row.include_fields = data.get("includeFields", row.include_fields) or []
        row.metafield_namespaces = data.get("metafieldNamespaces", row.metafield_namespaces) or []
        row.updated_at = context.now()
        return {"webhookSubscription": row}

    return payload(work, {"webhookSubscription": None})


@resolves("Mutation", "webhookSubscriptionDelete")
def _delete(_parent: object, context: Context, args: Args) -> JsonObject:
    def work() -> Args:
        if context.shop.subscriptions.pop(number(args["id"]), None) is None:
            raise UserError("Webhook subscription does not exist", ["id"])
        return {"deletedWebhookSubscriptionId": args["id"]}

    return payload(work, {"deletedWebhookSubscriptionId": None})


def _check_filter(given: str | None) -> None:
    if given and ":" not in given:
        message = (
            "The specified filter is invalid, please ensure you specify the field(s) you wish to "
            "filter on."
        )
        raise UserError(message, ["webhookSubscription"])


def _check(
    context: Context, uri: str, topic: str, name: str | None, own: Subscription | None
) -> None:
    # Shopify names the deprecated argument even if `uri` was sent.
    field = ["webhookSubscription", "callbackUrl"]
    parts = urlsplit(uri)
    if not uri:
        raise UserError("Address can't be blank", field)
    if parts.scheme == "http" and not context.allow_http:
        raise UserError("Address protocol http:// is not supported", field)
    if parts.scheme not in {"https", "http", "pubsub", "arn"} and not uri.startswith("arn:"):
        raise UserError("Address is invalid", field)
    if parts.scheme == "pubsub" and not _PUB_SUB.match(uri):
        text = "Address is not a valid GCP pub/sub format. Format should be pubsub://project:topic"
        all_of(
            UserError("Address protocol pubsub:// is not supported", field), UserError(text, field)
        )
    if name is not None and not _NAME.match(name):
        message = "Name can only contain alphanumeric characters, underscores, and hyphens"
        raise UserError(message, ["webhookSubscription", "name"])
    others = [row for row in context.shop.subscriptions.values() if row is not own]
    if any(row.topic == topic and row.uri == uri for row in others):
        raise UserError("Address for this topic has already been taken", field)


RESOLVERS["WebhookSubscription"] = {
    "callbackUrl": lambda row, c, a: row.uri,
    "apiVersion": lambda row, c, a: {
        "handle": "2026-10",
        "displayName": "2026-10",
        "supported": True,
    },
    "endpoint": lambda row, c, a: {
        "__typename": "WebhookHttpEndpoint",
        "callbackUrl": row.uri,
    },
    "includeFields": lambda row, c, a: row.include_fields,
    "metafieldNamespaces": lambda row, c, a: row.metafield_namespaces,
}
