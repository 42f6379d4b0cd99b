"""Ordinary orders, with histories that take turns so that every status occurs."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Final

from practice_store.changes import staff_actions
from practice_store.context import Context
from practice_store.derived import order_sums
from practice_store.sales import holding, lifecycle
from practice_store.seed.orders import cancel, place_order, random_tracking
from practice_store.seed.products import PRODUCTS
from practice_store.state import Order

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


def random_order(context: Context, rng: random.Random) -> Order:
    """Place an order of a random customer for up to four products."""
    first, last, country = rng.choice(_PEOPLE)
    number = rng.randrange(40)
    presentment = {"JP": "JPY", "KW": "KWD", "US": "USD", "GB": "USD"}.get(country, "")
    items = [(p, rng.randint(1, 3)) for p in rng.sample(PRODUCTS, rng.randint(1, 4))]
    is_guest = rng.random() < 0.04
    return place_order(
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


def make_history(context: Context, rng: random.Random, order: Order, index: int) -> None:
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
        cancel(context, order, refund=False)
    else:
        gateway = rng.choice(["shopify_payments", "paypal", "Cash on Delivery (COD)"])
        card = f"•••• {rng.randrange(1000, 9999)}" if gateway == "shopify_payments" else None
        staff_actions.pay(context, order, gateway=gateway, account_number=card)
        _after_payment(context, rng, order, life, index)


def _after_payment(
    context: Context, rng: random.Random, order: Order, life: int, index: int
) -> None:
    if life == 4:
        cancel(context, order, refund=True)
    elif life == 5:
        cancel(context, order, refund=False)
    elif life == 6:
        staff_actions.refund(context, order, order_sums.net(order), "Refunded in full")
    elif life == 7:
        _delay(context, order, rng.choice(["ON_HOLD", "SCHEDULED", "IN_PROGRESS"]))
    elif life in {8, 9}:
        first = order.lines[0]
        staff_actions.ship(
            context, order, quantities={first.number_id: 1}, tracking=random_tracking(rng)
        )
    elif life >= 10:
        staff_actions.ship(context, order, tracking=random_tracking(rng))
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
