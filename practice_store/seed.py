"""A believable shop to practice on: every status, several currencies, awkward names.

Deterministic except for the time it runs at. STORIES lists the customers and orders that the demo's
conversations ask about.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from core.json_types import JsonObject
from practice_store import order_sums
from practice_store.changes import staff_actions
from practice_store.context import Context
from practice_store.sales import (
    holding,
    lifecycle,
)
from practice_store.state import (
    Fulfillment,
    FulfillmentOrder,
    Order,
    Resource,
    Tracking,
)
from practice_store.store import Store

ORDERS: Final = 320
# The orders of _people and _earlier_orders, placed after all the others.
PEOPLES_ORDERS: Final = 12
# Title, variant, SKU and price.
Product = tuple[str, str | None, str, str]
_PRODUCTS: Final[tuple[Product, ...]] = (
    ("Red mug", "350 ml", "MUG-RED", "19.90"),
    ("Blue mug", "350 ml", "MUG-BLU", "19.90"),
    ("Linen apron", "Natural / M", "APR-NAT-M", "39.00"),
    ("Espresso beans “Aurora”", "1 kg", "BEAN-AUR-1K", "28.50"),
    ("Pour-over kettle", "Matte black", "KET-BLK", "89.00"),
    ("Paper filters", "100 pcs", "FIL-100", "4.20"),
    ("Hand grinder", "Steel", "GRD-STL", "74.90"),
    ("Tea towel set", "3 pcs", "TWL-3", "17.00"),
    ("Ceramic dripper", "02 / White", "DRP-02-W", "24.00"),
    (
        "Travel tumbler, double-walled, leak-proof, with a very long name that has to wrap",
        "470 ml",
        "TMB-470",
        "32.00",
    ),
    ("Gift wrapping & ribbon", None, "GIFT-WRAP", "3.50"),
)
_PEOPLE: Final = (
    ("Anna", "Schmidt", "DE"),
    ("Liam", "Murphy", "IE"),
    ("Sofia", "Rossi", "IT"),
    ("Lucas", "Moreau", "FR"),
    ("Emma", "de Vries", "NL"),
    ("Noah", "Andersson", "SE"),
    ("Mia", "Novák", "CZ"),
    ("Oliver", "Smith", "GB"),
    ("Isabella", "García", "ES"),
    ("عائشة", "الهاشمي", "KW"),
    ("יוסף", "כהן", "IL"),
    ("花子", "山田", "JP"),
    ("Maximilian-Alexander", "von Hohenstein-Wittgenberg zu Lauenburg", "AT"),
    ("Zoë 🌻", "O’Brien", "IE"),
    ("Robert", "Miller & Sons", "US"),
    ("Jürgen", "Groß", "DE"),
)
_CARRIERS: Final = (
    ("DHL", "https://www.dhl.de/en/tracking?piececode={}"),
    ("UPS", "https://www.ups.com/track?tracknum={}"),
    ("DPD", "https://tracking.dpd.de/status/en_US/parcel/{}"),
    ("Local courier", ""),
)
_PARCEL_STATES: Final = (
    "LABEL_PRINTED",
    "LABEL_PURCHASED",
    "CONFIRMED",
    "CARRIER_PICKED_UP",
    "IN_TRANSIT",
    "DELAYED",
    "OUT_FOR_DELIVERY",
    "ATTEMPTED_DELIVERY",
    "READY_FOR_PICKUP",
    "DELIVERED",
    "FAILURE",
)


@dataclass(frozen=True)
class Story:
    """A customer and the order they ask about; tests find it by its `key`."""

    key: str
    order: str
    name: str
    email: str
    phone: str = ""


STORIES: Final = (
    Story("unpaid", "#1031", "Jane Doe", "jane@example.com", "+4915112345678"),
    Story("paid_unshipped", "#1043", "Jane Doe", "jane@example.com", "+4915112345678"),
    Story("delivered", "#1050", "Amir Haddad", "amir@example.com", "+96522212345"),
    Story("partly_paid_shipped", "#1055", "Greta Lindholm", "greta@example.com"),
    Story("two_parcels", "#1060", "Tom Becker", "tom.becker@example.com"),
    Story("yen", "#1065", "花子 山田", "hanako@example.jp"),
    Story("dinar", "#1070", "عائشة الهاشمي", "aisha@example.com"),
    Story("canceled_not_refunded", "#1075", "Liam Murphy", "liam@example.ie"),
    Story("cash_on_delivery", "#1080", "Sofia Rossi", "sofia@example.it"),
    Story("shipped", "#1085", "Noah Andersson", "noah@example.se"),
    Story("return_open", "#1090", "Emma de Vries", "emma@example.nl"),
    Story("authorized", "#1095", "Oliver Smith", "oliver@example.co.uk"),
)


def seed(store: Store) -> None:
    """Fill the first shop with everything and the others with a little. Takes a few seconds."""
    domains = list(store.world.shops)
    for domain in domains:
        shop = store.world.shops[domain]
        context = store.context(shop)
        rng = random.Random(domain)  # noqa: S311  the same shop every time
        if domain == domains[0]:
            _fill(context, rng, ORDERS, stories=True)
            _people(context)
            _earlier_orders(context)
        else:
            _fill(context, rng, 24, stories=False)
            _twins(context)


def many(store: Store, count: int) -> None:
    """Give the first shop this many ordinary orders, for a store worth a backfill."""
    domain = next(iter(store.world.shops))
    _fill(store.context(store.world.shops[domain]), random.Random(7), count, stories=False)  # noqa: S311


def _people(context: Context) -> None:
    """Add customers worth a look: one with every field, two who may be the same person, one with
    two addresses.

    Runs after all other orders were placed, so that those keep their numbers.
    """
    now = context.now()
    by_email = {c.email: c for c in context.shop.customers.values()}
    jane = by_email["jane@example.com"]
    jane.tags, jane.state, jane.locale = ["VIP", "Newsletter"], "ENABLED", "en"
    jane.note = "Prefers a call before anything is sent again."
    jane.email_consent, jane.sms_consent = "SUBSCRIBED", "UNSUBSCRIBED"
    jane.created_at = now - timedelta(days=912)
    orders = [
        _order(
            context,
            [(_PRODUCTS[0], 1)],
            name="Marie Laurent",
            email="marie@example.fr",
            phone="+33612345678",
        ),
        # Ordered with her work address; the confirmation goes to her private one.
        _order(
            context, [(_PRODUCTS[6], 1)], name="Marie Laurent-Petit", email="m.petit@example.fr"
        ),
        _order(context, [(_PRODUCTS[3], 2)], name="Paul Weber", email="paul@example.de"),
        _order(context, [(_PRODUCTS[4], 1)], name="Paul Weber", email="paul@example.de"),
    ]
    orders[1].email = "marie@example.fr"
    orders[3].email = "paul.weber@work.example"
    for days, order in zip((21, 4, 30, 6), orders, strict=True):
        staff_actions.pay(context, order)
        _backdate(order, now - timedelta(days=days), context)
    context.emitted.clear()
    context.delayed.clear()


def _earlier_orders(context: Context) -> None:
    """More orders of the customers who write in the demo, so that between them their panels show
    every status. After all others, so that those keep their numbers."""
    by_key = {story.key: story for story in STORIES}
    now = context.now()

    def earlier(days: int, key: str, product: int, *, paid: bool = True) -> Order:
        story = by_key[key]
        order = _order(
            context,
            [(_PRODUCTS[product], 1)],
            name=story.name,
            email=story.email,
            phone=story.phone,
        )
        if paid:
            staff_actions.pay(context, order)
        dates.append((order, now - timedelta(days=days)))
        return order

    dates: list[tuple[Order, datetime]] = []
    archived = earlier(41, "paid_unshipped", 3)
    staff_actions.ship(context, archived, tracking=_tracking(random.Random(1)))  # noqa: S311
    staff_actions.carrier_says(context, archived, "DELIVERED", city="Berlin", country="DE")
    lifecycle.close(context, archived)
    arriving = earlier(3, "paid_unshipped", 8)
    staff_actions.ship(context, arriving, tracking=_tracking(random.Random(2)))  # noqa: S311
    staff_actions.carrier_says(
        context, arriving, "IN_TRANSIT", arrives_in_days=2, city="Leipzig", country="DE"
    )
    part = earlier(24, "delivered", 6)
    staff_actions.ship(context, part)
    staff_actions.refund(context, part, Decimal("15.00"), "Damaged in transit")
    back = earlier(33, "partly_paid_shipped", 7)
    staff_actions.ship(context, back)
    staff_actions.refund(context, back, order_sums.net(back), "Refunded in full")
    pickup = earlier(2, "two_parcels", 9)
    holding.collect_at(context, pickup, "Shop on Main Street")
    holding.ready_for_pickup(context, pickup)
    voided = earlier(16, "paid_unshipped", 4, paid=False)
    staff_actions.authorize(context, voided)
    _cancel(context, voided, refund=True)
    canceled = earlier(12, "shipped", 2)
    _cancel(context, canceled, refund=True)
    earlier(1, "return_open", 5, paid=False).pending = True
    for order, at in dates:
        _backdate(order, at, context)
    context.emitted.clear()
    context.delayed.clear()


def _twins(context: Context) -> None:
    """Repeat a customer and an order number of the first shop, to prove that stores never get mixed
    up.
    """
    context.shop.next_order = 1043
    order = _story_order(context, STORIES[1], [_PRODUCTS[4]], paid=True)
    _backdate(order, context.now() - timedelta(days=58), context)
    context.emitted.clear()


def _fill(context: Context, rng: random.Random, count: int, *, stories: bool) -> None:
    by_number = {int(s.order.lstrip("#")): s for s in STORIES} if stories else {}
    for index in range(count):
        number = context.shop.next_order
        at = context.now() - timedelta(
            days=60 * (count - index) / count, minutes=rng.randrange(600)
        )
        start = len(context.emitted)
        if number in by_number:
            order = _STORY_OF[by_number[number].key](context, by_number[number])
        else:
            order = _random_order(context, rng)
            _make_history(context, rng, order, index)
        _backdate(order, at, context)
        del context.emitted[start:]
        context.delayed.clear()


def _money(amount: str, currency: str) -> JsonObject:
    return {"amount": amount, "currencyCode": currency}


def _price(context: Context, amount: str, presentment: str) -> JsonObject:
    """Return a price in the shop's currency and, if it differs, in the customer's."""
    own = context.shop.currency
    if presentment == own:
        return {"shopMoney": _money(amount, own)}
    rates = {"JPY": "160", "KWD": "0.34", "USD": "1.1", "EUR": "0.91"}
    theirs = order_sums.rounded(Decimal(amount) * Decimal(rates[presentment]), presentment)
    return {"shopMoney": _money(amount, own), "presentmentMoney": _money(str(theirs), presentment)}


def _order(
    context: Context,
    items: list[tuple[Product, int]],
    *,
    name: str,
    email: str,
    phone: str = "",
    country: str = "DE",
    presentment: str = "",
    taxed: bool = True,
    note: str | None = None,
    tags: list[str] | None = None,
) -> Order:
    presentment = presentment or context.shop.currency
    first, _, last = name.partition(" ")
    lines = []
    for (title, variant, sku, price), quantity in items:
        tax = order_sums.rounded(Decimal(price) * quantity * Decimal("0.19"), context.shop.currency)
        line: JsonObject = {
            "title": title,
            "variantTitle": variant,
            "sku": sku,
            "quantity": quantity,
            "requiresShipping": True,
            "priceSet": _price(context, price, presentment),
        }
        if taxed:
            line["taxLines"] = [
                {
                    "title": "VAT",
                    "rate": Decimal("0.19"),
                    "priceSet": _price(context, str(tax), presentment),
                }
            ]
        lines.append(line)
    customer = (
        {"toUpsert": {"email": email, "firstName": first, "lastName": last, "phone": phone or None}}
        if email
        else {}
    )
    place = {
        "firstName": first,
        "lastName": last,
        "address1": "Hauptstraße 12",
        "city": "Berlin",
        "zip": "10115",
        "countryCode": country,
        "country": country,
        "phone": phone or None,
    }
    return staff_actions.place(
        context,
        email=email or None,
        phone=phone or None,
        customer=customer,
        lineItems=lines,
        presentmentCurrency=presentment,
        currency=context.shop.currency,
        shippingAddress=place,
        shippingLines=[{"title": "Standard", "priceSet": _price(context, "4.90", presentment)}],
        note=note,
        tags=tags,
    )


def _random_order(context: Context, rng: random.Random) -> Order:
    first, last, country = rng.choice(_PEOPLE)
    number = rng.randrange(40)
    presentment = {"JP": "JPY", "KW": "KWD", "US": "USD", "GB": "USD"}.get(country, "")
    items = [(p, rng.randint(1, 3)) for p in rng.sample(_PRODUCTS, rng.randint(1, 4))]
    is_guest = rng.random() < 0.04
    return _order(
        context,
        items,
        name=f"{first} {last}",
        email="" if is_guest else f"customer{number}@example.{country.lower()}",
        country=country,
        presentment=presentment,
        note=rng.choice(
            [None, None, "Please leave it with the neighbors 🙏", "No plastic, please."]
        ),
        tags=rng.choice([[], [], ["VIP"], ["wholesale", "B2B"]]),
    )


def _make_history(context: Context, rng: random.Random, order: Order, index: int) -> None:
    """Give an order a history; the states take turns, so that each of them occurs."""
    life = index % 16
    if life == 0:
        order.pending = True
        if index % 32 == 0:
            holding.agree_on_terms(context, order, "Net 30", context.now() + timedelta(days=30))
    elif life == 1:
        staff_actions.authorize(context, order)
        order.expired = rng.random() < 0.3
    elif life == 2:
        staff_actions.pay(
            context,
            order,
            order_sums.rounded(order_sums.total(order) / 2, order.presentment_currency),
        )
    elif life == 3:
        _cancel(context, order, refund=False)
    else:
        gateway = rng.choice(["shopify_payments", "paypal", "Cash on Delivery (COD)"])
        card = f"•••• {rng.randrange(1000, 9999)}" if gateway == "shopify_payments" else None
        staff_actions.pay(context, order, gateway=gateway, account_number=card)
        _after_payment(context, rng, order, life, index)


def _after_payment(
    context: Context, rng: random.Random, order: Order, life: int, index: int
) -> None:
    if life == 4:
        _cancel(context, order, refund=True)
    elif life == 5:
        _cancel(context, order, refund=False)
    elif life == 6:
        staff_actions.refund(context, order, order_sums.net(order), "Refunded in full")
    elif life == 7:
        _delay(context, order, rng.choice(["ON_HOLD", "SCHEDULED", "IN_PROGRESS"]))
    elif life in {8, 9}:
        first = order.lines[0]
        staff_actions.ship(context, order, quantities={first.number_id: 1}, tracking=_tracking(rng))
    elif life >= 10:
        staff_actions.ship(context, order, tracking=_tracking(rng))
        state = _PARCEL_STATES[index // 16 % len(_PARCEL_STATES)]
        due = rng.choice([None, 2, 4, -3]) if state in {"IN_TRANSIT", "CONFIRMED"} else None
        staff_actions.carrier_says(
            context, order, state, arrives_in_days=due, city="Leipzig", country="DE"
        )
        if life == 12:
            part = order_sums.rounded(order_sums.total(order) / 4, order.presentment_currency)
            staff_actions.refund(context, order, part, "Damaged in transit")
        if life == 13 and index % 3 == 0:
            _return_some(context, order, index // 48 % 4)
        if life == 14 and index % 4 == 0:
            staff_actions.dispute(context, order, "NEEDS_RESPONSE")
        if state == "DELIVERED" and life == 15:
            lifecycle.close(context, order)


def _return_some(context: Context, order: Order, stage: int) -> None:
    """Open a return that is requested, on its way, partly received, or fully received."""
    staff_actions.open_return(context, order, requested=stage == 0)
    if stage >= 2:
        staff_actions.receive_return(context, order, units=1 if stage == 2 else None)


def _delay(context: Context, order: Order, why: str) -> None:
    if why == "ON_HOLD":
        holding.hold(context, order, "Incorrect address", note="Address must be checked")
    elif why == "SCHEDULED":
        holding.schedule(context, order, context.now() + timedelta(days=75))
    else:
        holding.begin(context, order)


def _tracking(rng: random.Random) -> list[Tracking]:
    company, pattern = rng.choice(_CARRIERS)
    number = f"{company[:2].upper()}{rng.randrange(10**9, 10**10)}"
    return [Tracking(number=number, company=company, url=pattern.format(number) or None)]


def _cancel(context: Context, order: Order, *, refund: bool) -> None:
    key = f"seed-{order.number_id}"
    lifecycle.start_cancel(
        context, order, reason="CUSTOMER", refund=refund, staff_note=None, key=key, made_by="staff"
    )
    lifecycle.run_job(context, key)


def _backdate(order: Order, at: datetime, context: Context) -> None:
    """Shift everything that happened to an order, so that it was placed at `at`."""
    shift = order.created_at - at
    rows: list[Resource] = [
        order,
        *order.transactions,
        *order.refunds,
        *order.fulfillments,
        *order.fulfillment_orders,
        *order.returns,
        *(e for f in order.fulfillments for e in f.events),
    ]
    hours = 0
    for row in rows:
        for name in (
            "created_at",
            "processed_at",
            "updated_at",
            "closed_at",
            "cancelled_at",
            "happened_at",
            "in_transit_at",
            "delivered_at",
            "approved_at",
        ):
            if getattr(row, name, None) is not None:
                moment = getattr(row, name) - shift + timedelta(hours=hours)
                setattr(row, name, min(moment, context.now()))
        hours += 5
    dated = (row for row in rows if isinstance(row, Order | Fulfillment | FulfillmentOrder))
    order.updated_at = max(row.updated_at for row in dated)


def _story_order(
    context: Context,
    story: Story,
    products: list[Product],
    *,
    paid: bool,
    quantity: int = 1,
    presentment: str = "",
    country: str = "DE",
) -> Order:
    items = [(product, quantity) for product in products]
    order = _order(
        context,
        items,
        name=story.name,
        email=story.email,
        phone=story.phone,
        country=country,
        presentment=presentment,
    )
    if paid:
        staff_actions.pay(context, order)
    else:
        order.pending = True
    return order


def _unpaid(context: Context, story: Story) -> Order:
    return _story_order(context, story, [_PRODUCTS[2]], paid=False)


def _paid_unshipped(context: Context, story: Story) -> Order:
    order = _story_order(context, story, [_PRODUCTS[0], _PRODUCTS[4]], paid=True)
    order.tags = ["VIP"]
    order.attributes = {"Gift wrapping": "yes", "Delivery day": "any"}
    order.lines[0].properties = {"Engraving": "For Jane"}
    return order


def _delivered(context: Context, story: Story) -> Order:
    order = _story_order(context, story, [_PRODUCTS[6], _PRODUCTS[5]], paid=True)
    tracking = [
        Tracking(
            number="JD014600003",
            company="DHL",
            url="https://www.dhl.de/en/tracking?piececode=JD014600003",
        )
    ]
    staff_actions.ship(context, order, tracking=tracking)
    staff_actions.carrier_says(context, order, "DELIVERED", city="Berlin", country="DE")
    return order


def _partly_paid_shipped(context: Context, story: Story) -> Order:
    """Five units at 10.00: 30.00 paid, three shipped."""
    order = _order(
        context,
        [(("Ceramic tile", None, "TILE", "10.00"), 5)],
        name=story.name,
        email=story.email,
        taxed=False,
    )
    order.shipping_lines.clear()
    staff_actions.pay(context, order, Decimal("30.00"))
    tracking = [
        Tracking(
            number="1Z999AA10123456784",
            company="UPS",
            url="https://www.ups.com/track?tracknum=1Z999AA10123456784",
        )
    ]
    staff_actions.ship(context, order, quantities={order.lines[0].number_id: 3}, tracking=tracking)
    return order


def _two_parcels(context: Context, story: Story) -> Order:
    """One line over two parcels, and a tracking number that no link leads to."""
    order = _story_order(context, story, [_PRODUCTS[0], _PRODUCTS[3]], paid=True, quantity=5)
    mug = order.lines[0].number_id
    staff_actions.ship(
        context,
        order,
        quantities={mug: 2},
        tracking=[
            Tracking(number="LC-77-0001", company="Local courier"),
        ],
    )
    staff_actions.carrier_says(context, order, "OUT_FOR_DELIVERY", city="Hamburg", country="DE")
    staff_actions.ship(
        context,
        order,
        quantities={mug: 3},
        tracking=[
            Tracking(
                number="JD014600004",
                company="DHL",
                url="https://www.dhl.de/en/tracking?piececode=JD014600004",
            )
        ],
    )
    staff_actions.carrier_says(context, order, "IN_TRANSIT", arrives_in_days=3)
    return order


def _yen(context: Context, story: Story) -> Order:
    return _story_order(context, story, [_PRODUCTS[7]], paid=True, presentment="JPY", country="JP")


def _dinar(context: Context, story: Story) -> Order:
    return _story_order(context, story, [_PRODUCTS[1]], paid=True, presentment="KWD", country="KW")


def _canceled_not_refunded(context: Context, story: Story) -> Order:
    order = _story_order(context, story, [_PRODUCTS[8]], paid=True)
    _cancel(context, order, refund=False)
    return order


def _cash_on_delivery(context: Context, story: Story) -> Order:
    order = _story_order(context, story, [_PRODUCTS[3]], paid=False)
    staff_actions.pay(context, order, gateway="Cash on Delivery (COD)", account_number=None)
    return order


def _shipped(context: Context, story: Story) -> Order:
    order = _story_order(context, story, [_PRODUCTS[4]], paid=True)
    tracking = [
        Tracking(
            number="JD014600005",
            company="DHL",
            url="https://www.dhl.de/en/tracking?piececode=JD014600005",
        )
    ]
    staff_actions.ship(context, order, tracking=tracking)
    staff_actions.carrier_says(
        context, order, "IN_TRANSIT", arrives_in_days=2, city="Malmö", country="SE"
    )
    return order


def _return_open(context: Context, story: Story) -> Order:
    order = _delivered(context, story)
    staff_actions.open_return(context, order)
    staff_actions.receive_return(context, order)
    return order


def _authorized(context: Context, story: Story) -> Order:
    order = _story_order(context, story, [_PRODUCTS[6]], paid=False)
    staff_actions.authorize(context, order)
    return order


_STORY_OF: Final[dict[str, Callable[[Context, Story], Order]]] = {
    "unpaid": _unpaid,
    "paid_unshipped": _paid_unshipped,
    "delivered": _delivered,
    "partly_paid_shipped": _partly_paid_shipped,
    "two_parcels": _two_parcels,
    "yen": _yen,
    "dinar": _dinar,
    "canceled_not_refunded": _canceled_not_refunded,
    "cash_on_delivery": _cash_on_delivery,
    "shipped": _shipped,
    "return_open": _return_open,
    "authorized": _authorized,
}
