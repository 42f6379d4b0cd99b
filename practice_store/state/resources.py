"""What all rows of a shop share: Shopify's IDs, and zero."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from msgspec import Struct

ZERO = Decimal(0)


def gid(kind: str, number: int) -> str:
    """Return a global ID, gid://shopify/Order/1."""
    return f"gid://shopify/{kind}/{number}"


class Resource(Struct, kw_only=True):
    """Anything with a Shopify ID."""

    typename: ClassVar[str] = ""
    number_id: int

    @property
    def id(self) -> str:
        """The gid: "gid://shopify/Order/1"."""
        return gid(self.typename, self.number_id)

    @property
    def legacy_resource_id(self) -> str:
        """The numeric ID, as GraphQL returns it: a string."""
        return str(self.number_id)
