"""This app's columns with personal data, and why its other text columns hold none."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db.models import F, Q
from django.utils import timezone

from core.json_types import JsonObject
from orders.models import (
    SENDABLE_STATES,
    AuditEntry,
    Checkout,
    Customer,
    Order,
    OrderAction,
    OrderEvent,
    OrderRefund,
    OrderTracking,
    OrderVersion,
)
from orders.privacy.masking import (
    markers,
    masked,
)
from orders.privacy.registry import (
    REGISTRY,
    Holding,
    Kind,
    Mask,
    Rows,
    Scope,
    Whose,
)
from orders.snapshot import encode

Part = OrderRefund | OrderEvent | OrderTracking | OrderVersion


def _masked_document(order: Order) -> str:
    return encode(masked(order.snapshot)) if order.document else ""


def _note_masked(rows: Rows) -> None:
    # A new version makes open pages redraw the order.
    rows.update(masked_at=timezone.now(), version=F("version") + 1)


def without_notes(steps: list[JsonObject], marker: str) -> list[JsonObject]:
    """Return frozen requests with staff notes removed from them; only the marker stays."""
    return [{**step, "variables": _without_note(step["variables"], marker)} for step in steps]


def _without_note(variables: JsonObject, marker: str) -> JsonObject:
    if "staffNote" in variables:
        return {**variables, "staffNote": marker}
    if "note" in variables.get("input", {}):
        return {**variables, "input": {**variables["input"], "note": marker}}
    return variables


def _steps(action: OrderAction) -> list[JsonObject]:
    return without_notes(action.steps, action.note_marker)


def _proposal(action: OrderAction) -> JsonObject:
    proposal: JsonObject = action.proposal
    return {**proposal, "staff_note": ""} if "staff_note" in proposal else proposal


def _of_orders(model: type[Part]) -> Callable[[Scope], Rows]:
    return lambda scope: model.objects.filter(order__in=scope.orders())


def _settled(scope: Scope) -> Rows:
    """Actions that will never be sent again: finished, or waiting for a supervisor to compare.

    A deletion doesn't wait for a supervisor. What they need stays: the amount, the order's number,
    and the marker in Shopify's notes.
    """
    rows = OrderAction.objects.filter(order__in=scope.orders())
    return rows.exclude(state__in=SENDABLE_STATES)


def _unsettled(scope: Scope) -> Rows:
    # A request that may be sent again must keep its exact bytes under its idempotency key.
    return OrderAction.objects.filter(order__in=scope.orders(), state__in=SENDABLE_STATES)


# Masked with the order, by redaction and by retention.
ORDER_HOLDINGS = (
    Holding(
        model=OrderRefund,
        whose=Whose.CUSTOMER,
        of=_of_orders(OrderRefund),
        fields={"note": Mask(Kind.TEXT, rewrite=lambda refund: markers(refund.note))},
    ),
    Holding(
        model=OrderEvent,
        whose=Whose.CUSTOMER,
        of=_of_orders(OrderEvent),
        fields={"detail": Mask(Kind.TEXT)},
    ),
    Holding(
        model=OrderTracking,
        whose=Whose.CUSTOMER,
        of=_of_orders(OrderTracking),
        is_deleted=True,
        fields={"number": Mask(Kind.ACCOUNT), "url": Mask(Kind.ACCOUNT)},
    ),
    Holding(
        model=Order,
        whose=Whose.CUSTOMER,
        of=lambda scope: scope.orders(),
        fields={
            "document": Mask(Kind.DOCUMENT, rewrite=_masked_document),
            "email": Mask(Kind.EMAIL),
            "phone": Mask(Kind.PHONE),
            "kept_reason": Mask(Kind.TEXT),
        },
        then=_note_masked,
    ),
    # After the orders: a read in progress finishes before its order can be masked, and one that
    # starts later keeps no version of a masked order.
    Holding(
        model=OrderVersion,
        whose=Whose.CUSTOMER,
        of=_of_orders(OrderVersion),
        is_deleted=True,
        fields={"document": Mask(Kind.DOCUMENT, exported=lambda version: version.text)},
    ),
)
CUSTOMER_HOLDING = Holding(
    model=Customer,
    whose=Whose.CUSTOMER,
    of=lambda scope: scope.customers(),
    fields={
        "name": Mask(Kind.NAME),
        "email": Mask(Kind.EMAIL),
        "phone": Mask(Kind.PHONE),
        "locale": Mask(Kind.TEXT),
        "tags": Mask(Kind.TEXT, value=[]),
        "note": Mask(Kind.TEXT),
    },
)


def _checkouts(scope: Scope) -> Rows:
    own = Checkout.objects.filter(store_id=scope.store_id)
    if scope.is_whole_store:
        return own
    named = Q(customer_gid__in=scope.customer_gids) | Q(email__in=scope.emails)
    return own.filter(named | Q(phone__in=scope.phones)).exclude(
        customer_gid="", email="", phone=""
    )


CHECKOUT_HOLDING = Holding(
    model=Checkout,
    whose=Whose.CUSTOMER,
    of=_checkouts,
    fields={
        "name": Mask(Kind.NAME),
        "email": Mask(Kind.EMAIL),
        "phone": Mask(Kind.PHONE),
    },
)
REGISTRY.add(
    *ORDER_HOLDINGS,
    CUSTOMER_HOLDING,
    CHECKOUT_HOLDING,
    Holding(
        model=OrderAction,
        whose=Whose.CUSTOMER,
        of=_settled,
        waits_for=_unsettled,
        # A trigger lets exactly these columns change once nothing can be sent (migration 0013).
        fields={
            "staff_note": Mask(Kind.TEXT),
            "message": Mask(Kind.TEXT),
            "proposal": Mask(Kind.DOCUMENT, rewrite=_proposal),
            "steps": Mask(Kind.DOCUMENT, rewrite=_steps),
        },
    ),
)


def _wipe_customers(scope: Scope, limit: int) -> int:
    return _delete(Customer, scope.customers(), limit)


def _wipe_orders(scope: Scope, limit: int) -> int:
    # The record of money stays: our actions and refunds, and the orders they belong to.
    return _delete(Order, scope.orders().filter(actions=None, orderrefunds=None), limit)


def _wipe_checkouts(scope: Scope, limit: int) -> int:
    return _delete(Checkout, _checkouts(scope), limit)


def _delete(model: type[Customer | Checkout | Order], rows: Rows, limit: int) -> int:
    ids = list(rows.values_list("pk", flat=True)[:limit])
    model.objects.filter(pk__in=ids).delete()
    return len(ids)


REGISTRY.wipers |= {
    "orders.Customer": _wipe_customers,
    "orders.Checkout": _wipe_checkouts,
    "orders.Order": _wipe_orders,
}

_ID = "a Shopify ID; says nothing without Shopify's tables"
_OURS = "generated by us, at random or from declared columns"
_WORD = "one of a fixed list of Shopify's values"
_GOODS = "what was sold"
_SHOP = "the shop's own, not a customer's"
REGISTRY.declare(
    "orders.Customer",
    gid=_ID,
    merged_into=_ID,
    spent_currency=_WORD,
    account_state=_WORD,
    email_consent=_WORD,
    sms_consent=_WORD,
)
REGISTRY.declare("orders.Checkout", gid=_ID, customer_gid=_ID)
REGISTRY.declare(
    "orders.Order",
    gid=_ID,
    name="the order's number",
    name_key="the order's number",
    number="the order's number",
    cancel_reason=_WORD,
    financial_status=_WORD,
    fulfillment_status=_WORD,
    return_status=_WORD,
    currency=_WORD,
    shop_currency=_WORD,
    customer_gid=_ID,
)
REGISTRY.declare("orders.OrderLine", gid=_ID, title=_GOODS, variant_title=_GOODS, sku=_GOODS)
REGISTRY.declare(
    "orders.OrderFulfillment",
    gid=_ID,
    name="the parcel's number",
    status=_WORD,
    display_status=_WORD,
)
REGISTRY.declare("orders.OrderTracking", fulfillment_gid=_ID, company="the carrier")
REGISTRY.declare(
    "orders.OrderTransaction", gid=_ID, kind=_WORD, status=_WORD, gateway="the payment provider"
)
REGISTRY.declare("orders.OrderRefund", gid=_ID)
REGISTRY.declare("orders.OrderEvent", key=_ID, currency=_WORD, reason=_WORD)
REGISTRY.declare(
    "orders.OrderAction",
    origin="a conversation's or an order's number",
    nonce=_OURS,
    digest=_OURS,
    marker=_OURS,
    currency=_WORD,
    reason=_WORD,
    why_approval="a sentence generated by the policy",
    job_gid=_ID,
    refund_gid=_ID,
    outcome=_OURS,
)
REGISTRY.declare(
    "orders.Policy",
    approval_reasons=_WORD,
    approval_products=_GOODS,
    approval_order_tags=_SHOP,
    approval_payment_methods="the payment provider",
)
REGISTRY.declare(
    "orders.Store",
    domain=_SHOP,
    name=_SHOP,
    currency=_WORD,
    time_zone=_SHOP,
    country=_WORD,
    order_prefix=_SHOP,
    order_suffix=_SHOP,
    hidden_cancel_reasons=_WORD,
)
REGISTRY.declare(
    "orders.PrivacyRequest",
    fingerprint="a keyed hash",
    note="one of our own sentences",
    sealed_scope="encrypted, and emptied when the request ends",
    progress="counters",
    evidence="counts and keyed hashes",
)
REGISTRY.declare("orders.RedactedIdentity", digest="a keyed hash")
REGISTRY.declare("orders.RetentionPosition", rule="defined in code")
REGISTRY.add(
    Holding(
        model=User,
        whose=Whose.STAFF,
        fields={
            "username": Mask(Kind.NAME),
            "first_name": Mask(Kind.NAME),
            "last_name": Mask(Kind.NAME),
            "email": Mask(Kind.EMAIL),
        },
    ),
    Holding(
        model=Session,
        whose=Whose.STAFF,
        fields={"session_key": Mask(Kind.ACCOUNT), "session_data": Mask(Kind.DOCUMENT)},
    ),
)
REGISTRY.declare("auth.User", password="a hash")  # noqa: S106
REGISTRY.declare("auth.Group", name="a role")
REGISTRY.declare("auth.Permission", name="defined in code", codename="defined in code")
REGISTRY.declare("contenttypes.ContentType", app_label="defined in code", model="defined in code")
REGISTRY.declare("admin.LogEntry", object_id="a row's number")
REGISTRY.declare("orders.AuditSeal", prev_hash="a hash", hash="a hash", key_id="a hash")
# The audit log is append-only and sealed in a chain, so customers' data must never enter it. It
# does record which staff member did what, which is its purpose.
REGISTRY.add(
    Holding(
        model=AuditEntry,
        whose=Whose.STAFF,
        fields={
            "actor": Mask(Kind.NAME),
            "ip": Mask(Kind.ADDRESS),
            "detail": Mask(Kind.DOCUMENT),
        },
    )
)
REGISTRY.declare(
    "orders.AuditEntry",
    roles="names of roles",
    before=_WORD,
    after=_WORD,
    currency=_WORD,
    request_id=_OURS,
)
