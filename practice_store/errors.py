"""Top-level GraphQL errors as Shopify words them; refusals of mutations are data instead."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLError


class ShopError(GraphQLError):
    """An entry of `errors`, with Shopify's code in its extensions."""

    def __init__(self, message: str, code: str, **extensions: Any) -> None:
        super().__init__(message, extensions={"code": code, **extensions})


class UserError(Exception):
    """An entry of a payload's userErrors; `more`: what is wrong beside it."""

    more: tuple[UserError, ...] = ()

    def __init__(
        self, message: str, field: list[str] | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.entry = {"message": message, "field": field, "code": code}

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [self.entry, *(error.entry for error in self.more)]


def all_of(*found: UserError | None) -> None:
    """Raises UserError for everything that was found, told together; nothing found: nothing."""
    errors = [error for error in found if error is not None]
    if errors:
        errors[0].more = tuple(errors[1:])
        raise errors[0]
