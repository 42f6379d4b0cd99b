"""GET /_practice/: a page to act as the shop's staff, its customers and its carriers."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from html import escape
from typing import Final
from urllib.parse import urlencode

from practice_store.changes import staff_actions
from practice_store.context import Context
from practice_store.derived import order_sums, quantities
from practice_store.errors import UserError
from practice_store.sales import (
    checkouts,
    lifecycle,
)
from practice_store.state import (
    Checkout,
    Order,
    Shop,
    Tracking,
)
from practice_store.store import Store

Form = dict[str, str]
_ROWS: Final = 60
_CHECKOUT_ROWS: Final = 8
_STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:1180px;padding:1.5rem;color:#1d2329;background:#f6f7f8}
h1{font-size:1.4rem}table{width:100%;border-collapse:collapse;background:#fff;border-radius:10px;overflow:hidden}
th,td{text-align:start;padding:.45rem .7rem;border-bottom:1px solid #e6e8ea;vertical-align:top}
form{display:inline}button,select,input{font:inherit;padding:.2rem .55rem;border:1px solid #767c82;border-radius:6px;background:#fff;color:inherit}
button{cursor:pointer}.act{display:flex;flex-wrap:wrap;gap:.3rem}.note{padding:.6rem 1rem;border-radius:8px;background:#fff3cd}
a{color:#0b5cad}.dim{color:#5b6167}@media(max-width:700px){table,tr,td{display:block}th{display:none}}
"""


def _ship(context: Context, order: Order, form: Form) -> None:
    number = form.get("number") or f"JD{order.number_id % 10**10:010d}"
    url = f"https://www.dhl.de/en/tracking?piececode={number}"
    staff_actions.ship(context, order, tracking=[Tracking(number=number, company="DHL", url=url)])


def _amount(form: Form, order: Order) -> Decimal:
    try:
        return Decimal(form.get("amount") or str(order_sums.net(order)))
    except InvalidOperation as error:
        raise UserError("Enter the amount as a number.") from error


_ACTS: Final[dict[str, tuple[str, Callable[[Context, Order, Form], object]]]] = {
    "pay": ("Pay", lambda c, o, f: staff_actions.pay(c, o)),
    "authorize": ("Authorize", lambda c, o, f: staff_actions.authorize(c, o)),
    "capture": ("Capture", lambda c, o, f: staff_actions.capture(c, o)),
    "ship": ("Ship", _ship),
    "in_transit": (
        "In transit",
        lambda c, o, f: staff_actions.carrier_says(c, o, "IN_TRANSIT", arrives_in_days=2),
    ),
    "out": (
        "Out for delivery",
        lambda c, o, f: staff_actions.carrier_says(c, o, "OUT_FOR_DELIVERY"),
    ),
    "deliver": ("Deliver", lambda c, o, f: staff_actions.carrier_says(c, o, "DELIVERED")),
    "refund": (
        "Refund",
        lambda c, o, f: staff_actions.refund(c, o, _amount(f, o), "Refunded in Shopify"),
    ),
    "cancel": (
        "Cancel",
        lambda c, o, f: staff_actions.cancel(c, o, reason="OTHER", refund_all=False),
    ),
    "request_return": (
        "Ask for a return",
        lambda c, o, f: staff_actions.open_return(c, o, requested=True),
    ),
    "approve_return": ("Approve return", lambda c, o, f: staff_actions.approve_return(c, o)),
    "open_return": ("Open return", lambda c, o, f: staff_actions.open_return(c, o)),
    "receive_one": (
        "Receive one unit",
        lambda c, o, f: staff_actions.receive_return(c, o, units=1),
    ),
    "receive": ("Receive return", lambda c, o, f: staff_actions.receive_return(c, o)),
    "process_return": ("Process return", lambda c, o, f: staff_actions.process_return(c, o)),
    "close_return": ("Close return", lambda c, o, f: staff_actions.close_return(c, o)),
    "archive": ("Archive", lambda c, o, f: lifecycle.close(c, o)),
}


_CHECKOUT_ACTS: Final[dict[str, tuple[str, Callable[[Context, Checkout], object]]]] = {
    "come_back": ("Come back", checkouts.come_back),
    "complete": ("Place the order", checkouts.complete),
    "remove": ("Remove", checkouts.remove),
}


def act(store: Store, form: Form) -> str:
    """Do what the clicked button says; return the URL to go back to."""
    shop, name, what = form.get("shop", ""), form.get("order", ""), form.get("act", "")
    said = ""
    if shop not in store.world.shops:
        return "/_practice/"

    def work(context: Context) -> None:
        if what == "place":
            _place(context, form)
        elif what == "checkout":
            _check_out(context, form)
        elif what in _CHECKOUT_ACTS:
            row = checkouts.by_number(context, form.get("checkout", ""))
            _CHECKOUT_ACTS[what][1](context, row)
        elif what in _ACTS:
            _ACTS[what][1](context, staff_actions.order_by_name(context, name), form)

    try:
        store.act(shop, work)
    except UserError as error:
        said = str(error)
    back = {"shop": shop, "q": form.get("q", "")} | ({"said": said} if said else {})
    return f"/_practice/?{urlencode(back)}"


def _place(context: Context, form: Form) -> None:
    currency = context.shop.currency
    staff_actions.place(
        context,
        email=form.get("email") or None,
        customer={"toUpsert": {"email": form["email"]}} if form.get("email") else {},
        lineItems=[
            {
                "title": form.get("title") or "Red mug",
                "quantity": 1,
                "requiresShipping": True,
                "priceSet": {
                    "shopMoney": {"amount": form.get("amount") or "19.90", "currencyCode": currency}
                },
            }
        ],
    )


def _check_out(context: Context, form: Form) -> None:
    if not form.get("email"):
        raise UserError("Enter an email address first. A checkout needs one.")
    try:
        price = str(Decimal(form.get("amount") or "19.90"))
    except InvalidOperation as error:
        raise UserError("Enter the price as a number.") from error
    items = [(form.get("title") or "Red mug", price, 1)]
    accepts = bool(form.get("accepts"))
    checkouts.begin(context, email=form["email"], items=items, accepts_marketing=accepts)


def render(store: Store, query: Form) -> bytes:
    """Return the page: one shop's latest orders and checkouts, filtered by the search."""
    shops = store.world.shops
    domain = query.get("shop", next(iter(shops)))
    shop = shops.get(domain, next(iter(shops.values())))
    wanted = query.get("q", "").lower()
    rows = sorted(shop.orders.values(), key=lambda o: o.number_id, reverse=True)
    rows = [o for o in rows if wanted in f"{o.name} {o.email}".lower()][:_ROWS]
    tabs = " · ".join(f'<a href="?{urlencode({"shop": d})}">{escape(d)}</a>' for d in shops)
    said = f'<p class="note" role="status">{escape(query["said"])}</p>' if query.get("said") else ""
    body = "".join(_row(o, shop.domain, query.get("q", "")) for o in rows)
    page = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Practice store</title>
<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>
<h1>Practice store: {escape(shop.domain)}</h1><p>{tabs} · <a href="/_practice/about">what it can and cannot do</a></p>{said}
<form method="get"><input type="hidden" name="shop" value="{escape(shop.domain)}">
<label>Search <input name="q" value="{escape(query.get("q", ""))}"></label> <button>Find</button></form>
<form method="post" action="/_practice/act"><input type="hidden" name="shop" value="{escape(shop.domain)}">
<label>Email <input name="email" type="email" required></label>
<label>Price <input name="amount" value="19.90" size="6"></label>
<label><input name="accepts" type="checkbox" value="1"> Accepts marketing</label>
<button name="act" value="place">Place an order</button>
<button name="act" value="checkout">Begin a checkout</button></form>
{_checkouts(shop)}<table><thead><tr><th>Order</th><th>Customer</th><th>Total</th><th>State</th><th>Do</th></tr></thead>
<tbody>{body}</tbody></table></body></html>"""
    return page.encode()


def _checkouts(shop: Shop) -> str:
    """Return the table of the latest checkouts; "" if there are none."""
    found = sorted(shop.checkouts.values(), key=lambda row: -row.number_id)[:_CHECKOUT_ROWS]
    if not found:
        return ""
    rows = "".join(_checkout(row, shop.domain) for row in found)
    return f"""<table><thead><tr><th>Checkout</th><th>Customer</th><th>Total</th><th>State</th><th>Do</th></tr></thead>
<tbody>{rows}</tbody></table><br>"""


def _checkout(row: Checkout, domain: str) -> str:
    state = (
        f"Completed {row.completed_at:%H:%M}"
        if row.completed_at
        else f"Left at {row.updated_at:%H:%M} UTC"
    )
    buttons = "".join(
        f'<button name="act" value="{name}">{label}</button>'
        for name, (label, _) in _CHECKOUT_ACTS.items()
        if name == "remove" or not row.completed_at
    )
    return f"""<tr><td><b>{row.number_id}</b></td><td>{escape(row.email or "–")}</td><td>{row.total} {row.currency}</td><td>{state}</td>
<td><form method="post" action="/_practice/act" class="act"><input type="hidden" name="shop" value="{escape(domain)}">
<input type="hidden" name="checkout" value="{row.number_id}">{buttons}</form></td></tr>"""


def _row(order: Order, domain: str, q: str) -> str:
    state = " · ".join(
        str(part)
        for part in (
            "Canceled" if order.cancelled_at else None,
            order_sums.financial_status(order),
            quantities.fulfillment_status(order),
            *(
                f"{back.name} {back.status}: {sum(i.disposed for i in back.lines)} of "
                f"{sum(i.quantity for i in back.lines)} received"
                for back in order.returns
            ),
        )
        if part
    )
    buttons = "".join(
        f'<button name="act" value="{name}">{label}</button>' for name, (label, _) in _ACTS.items()
    )
    return f"""<tr><td><b>{escape(order.name)}</b><br><span class="dim">{order.number_id}</span></td>
<td>{escape(order.email or "–")}</td><td>{order_sums.total(order)} {order.presentment_currency}</td><td>{state}</td>
<td><form method="post" action="/_practice/act" class="act"><input type="hidden" name="shop" value="{escape(domain)}">
<input type="hidden" name="order" value="{escape(order.name)}"><input type="hidden" name="q" value="{escape(q)}">
{buttons}<input name="amount" size="6" aria-label="Amount to refund of {escape(order.name)}"></form></td></tr>"""
