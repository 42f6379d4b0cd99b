"""Shopify's own schema, with scalars that validate and format as Shopify's do."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Final

from graphql import GraphQLError, GraphQLScalarType, GraphQLSchema, build_schema

from practice_store.derived import order_sums
from practice_store.graphql.schema.cut import CUT


@cache
def schema() -> GraphQLSchema:
    """Build Shopify's schema with working scalars; once, in about half a second."""
    built = build_schema(
        gzip.decompress(CUT.read_bytes()).decode(), assume_valid=True, no_location=True
    )
    for name, (serialize, parse_value) in _SCALARS.items():
        scalar = built.type_map.get(name)
        if isinstance(scalar, GraphQLScalarType):
            scalar.coerce_output_value = serialize
            scalar.coerce_input_value = parse_value
    return built


def _time_out(value: object) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else str(value)


def _time_in(value: object) -> datetime:
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d", value):
        raise GraphQLError(f'invalid DateTime "{value}"')
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).replace(microsecond=0)


def _decimal_out(value: object) -> str:
    return order_sums.wire(value) if isinstance(value, Decimal) else str(value)


def _decimal_in(value: object) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation as error:
        raise GraphQLError(f'invalid decimal "{value}"') from error
    if not amount.is_finite():
        raise GraphQLError(f'invalid decimal "{value}"')
    return amount


def _text_in(value: object) -> object:
    return value


def _money_out(amount: Decimal) -> str:
    """Format with at least two decimals, and more if there are any."""
    whole, _point, part = f"{amount:f}".partition(".")
    return f"{whole}.{part.rstrip('0').ljust(2, '0')}"


_SCALARS: Final[dict[str, tuple[Callable[[object], str], Callable[[object], object]]]] = {
    "DateTime": (_time_out, _time_in),
    "Date": (lambda v: v.isoformat() if isinstance(v, date) else str(v), _text_in),
    "Decimal": (_decimal_out, _decimal_in),
    # This older scalar keeps two decimals; Decimal drops trailing zeros.
    "Money": (lambda v: _money_out(v) if isinstance(v, Decimal) else str(v), _decimal_in),
    "UnsignedInt64": (str, _text_in),
    "URL": (str, _text_in),
}
