"""GET /_practice/about: what this stand-in can and can't do, derived from its resolvers."""

from __future__ import annotations

from html import escape
from typing import Final

from graphql import GraphQLObjectType

from practice_store.graphql import scalars
from practice_store.graphql.resolvers import RESOLVERS

# What users would try and wonder about; the rest follows from the schema.
CAN: Final = (
    "Orders in several currencies, with taxes, discounts, tips, duties, fees and cash rounding",
    "Lists beyond a page, and lists in any order; reads that lag behind",
    "Holds, scheduled orders, pickup, parcels with events, several locations and their stock",
    "Cancellations as Shopify runs them, with a job and its result; refunds with idempotency keys, "
    "to cards, gift cards and store credit, pending or refused by the bank",
    "Returns that are requested, approved, received, processed, closed, and reopened",
    "Order edits and exchanges by the shop's staff, disputes, payment terms, test orders",
    "Signed webhooks with retries and every disorder, OAuth with expiring tokens, bulk operations",
    "Faults on request: lost answers, late commits, throttling, locked shops (POST /_practice/faults)",
)
CANNOT: Final = (
    "Checkout, products, discounts, markets, themes and apps: only what orders name of them",
    "requestedOrderEdits and their mutations, which the released 2026-10 has and this schema, a "
    "pre-release of 2026-10, lacks",
    "Reverse deliveries (labels of returns), order editing through the API, the day's exchange rates",
    "Amounts of taxes and fees by a country's law: they are what an order was placed with",
)


def render(version: str) -> bytes:
    """Return the page. A schema field without a resolver is answered with `undefinedField`."""
    answered = {kind: sorted(RESOLVERS.get(kind, ())) for kind in ("Mutation", "QueryRoot")}
    missing = {kind: sorted(set(_fields(kind)) - set(names)) for kind, names in answered.items()}
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>This practice store</title>
<h1>What this practice store can and cannot do</h1>
<p>It speaks Shopify's Admin GraphQL schema of a pre-release of {escape(version)} (of 2026-09-28),
cut down to what a help desk asks, and answers older versions as they would where that is known.</p>
<h2>It can</h2>{_list(CAN)}<h2>It cannot</h2>{_list(CANNOT)}
<h2>Mutations it carries out</h2><p>{_code_list(answered["Mutation"])}</p>
<h2>Queries it answers</h2><p>{_code_list(answered["QueryRoot"])}</p>
<h2>In the schema, and answered with nothing</h2>
<p>{_code_list([*missing["Mutation"], *missing["QueryRoot"]]) or "None."}</p>
<p>A field without a resolver is refused as <code>undefinedField</code>.
<a href="/_practice/">Back to the shop</a></p></html>""".encode()


def _fields(kind: str) -> list[str]:
    found = scalars.schema().type_map[kind]
    return list(found.fields) if isinstance(found, GraphQLObjectType) else []


def _list(texts: tuple[str, ...]) -> str:
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"


def _code_list(names: list[str]) -> str:
    return ", ".join(f"<code>{escape(name)}</code>" for name in names)
