"""The facts of an order that a summary depends on, and how they differ from earlier ones."""

from __future__ import annotations

from django.utils.translation import gettext as _

from orders.money import Money
from orders.snapshot import OrderSnapshot
from orders.statuses.badges import (
    live_fulfillments,
    payment_word,
)


def facts(snapshot: OrderSnapshot) -> dict[str, str]:
    """The facts a summary depends on. A note or tag may change under it; none of these may."""
    money = snapshot.money
    # Sorted, because Shopify's lists come in no particular order.
    shipments = sorted(
        f"{f.gid}:{f.status}:{f.delivered_at or ''}" for f in live_fulfillments(snapshot)
    )
    lines = sorted(
        f"{li.gid}:{li.current_quantity}:{li.refundable_quantity}" for li in snapshot.lines
    )
    returns = sorted(f"{r.gid}:{r.status}:{r.received_quantity}" for r in snapshot.returns)
    units = sorted(
        f"{li.gid}:{li.processed}:{li.refunded}:{li.received}:{li.missing}"
        for r in snapshot.returns
        for li in r.lines
    )
    return {
        "canceled": str(snapshot.cancelled_at or ""),
        "payment": snapshot.financial_status or "",
        "received": _sum_text(money.received.presentment),
        "refunded": _sum_text(money.refunded.presentment),
        "shipments": ",".join(shipments),
        "lines": ",".join(lines),
        "returns": ",".join(returns),
        "return_units": ",".join(units),
        # Store credit goes to the order's customer, who must still be the one that was shown.
        "customer": snapshot.customer.gid if snapshot.customer else "",
        "disputes": ",".join(sorted(f"{d.gid}:{d.status}" for d in snapshot.disputes)),
    }


def changes(
    before: dict[str, str], after: dict[str, str], *, ignoring: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """Describe what differs, as sentences. `ignoring`: facts that may differ."""
    names = {
        "canceled": _("The order has since been canceled."),
        "payment": _("The payment status changed: %(before)s → %(after)s."),
        "received": _("The amount received changed: %(before)s → %(after)s."),
        "refunded": _("The amount refunded changed: %(before)s → %(after)s."),
        "shipments": _("Its shipments changed."),
        "lines": _("Its items changed."),
        "returns": _("Its returns changed."),
        "return_units": _("Units in its returns were received, processed, or refunded."),
        "customer": _("The order now belongs to another customer."),
        "disputes": _("Its disputes changed."),
    }
    # An older summary may lack a fact, which then cannot be said to have changed.
    return tuple(
        text % {"before": _shown(key, before[key]), "after": _shown(key, after.get(key) or "")}
        for key, text in names.items()
        if key in before and key not in ignoring and before[key] != after.get(key)
    )


def _shown(fact: str, value: str) -> str:
    """Format a fact's value for people."""
    if not value:
        return "–"
    if fact == "payment":
        return payment_word(value)
    if fact in {"received", "refunded"}:
        return Money.from_wire(*value.split()).format()
    return value


def _sum_text(money: Money) -> str:
    return f"{money.plain()} {money.currency}"
