"""Errors in Shopify's format: top-level GraphQL errors, and the userErrors of mutations."""

from __future__ import annotations

from graphql import GraphQLError

from core.json_types import JsonObject


class ShopError(GraphQLError):
    """A top-level entry of `errors`, with Shopify's code in its extensions."""

    def __init__(self, message: str, code: str, **extensions: object) -> None:
        super().__init__(message, extensions={"code": code, **extensions})


class UserError(Exception):
    """An entry of a payload's userErrors; `more` holds further problems with the same input."""

    more: tuple[UserError, ...] = ()

    def __init__(
        self, message: str, field: list[str] | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.entry = {"message": message, "field": field, "code": code}

    @property
    def entries(self) -> list[JsonObject]:
        """This error and those in `more`, as the payload lists them."""
        return [self.entry, *(error.entry for error in self.more)]


def all_of(*found: UserError | None) -> None:
    """Raise one UserError with all the problems passed; do nothing if each is None."""
    errors = [error for error in found if error is not None]
    if errors:
        errors[0].more = tuple(errors[1:])
        raise errors[0]
