"""Base serializer and fields of the REST API.

Nothing is converted: text is text and a number is a number, or what a client meant could be
guessed wrong.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

from rest_framework import serializers
from rest_framework.request import Request

# More than any order has, and less than a database's integer.
LARGEST_QUANTITY: Final = 1_000_000
_FORMS: Final = ("multipart/form-data", "application/x-www-form-urlencoded")
S = TypeVar("S", bound=serializers.Serializer[Any])


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields it does not know: a typing error must not be taken for consent."""

    def to_internal_value(self, data: object) -> object:
        """Raise ValidationError that names each unknown field."""
        if isinstance(data, dict) and (extra := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError({name: ["Unknown field."] for name in extra})
        return super().to_internal_value(data)


class NoFields(StrictSerializer):
    """For requests that have nothing to say: an empty body, or {}."""


class TextField(serializers.CharField):
    """Text a database holds: no NUL (the base refuses it), no lone surrogates."""

    def to_internal_value(self, data: object) -> str:
        """Raise ValidationError for text that is not valid Unicode."""
        if not isinstance(data, str):
            self.fail("invalid")
        text = super().to_internal_value(data)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise serializers.ValidationError("Not valid Unicode text.") from error
        return text


class FlagField(serializers.BooleanField):
    """true or false, not "yes" or 1."""

    def to_internal_value(self, data: object) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class QuantityField(serializers.IntegerField):
    """A whole number of items, at least 1."""

    def __init__(self, **more: Any) -> None:
        super().__init__(min_value=1, max_value=LARGEST_QUANTITY, **more)

    def to_internal_value(self, data: object) -> int:
        # A bool is an int, but not a number of items.
        if type(data) is not int:
            self.fail("invalid")
        return super().to_internal_value(data)


def read(kind: type[S], request: Request) -> Any:
    """Return the body's validated data. Raises ValidationError or ParseError."""
    incoming = kind(data=request.data)
    incoming.is_valid(raise_exception=True)
    return incoming.validated_data


def read_nothing(request: Request) -> None:
    """Raise ValidationError if the body says anything, as it would be ignored.

    An empty form is nothing, too: some clients send one with every POST.
    """
    if request.content_type.startswith(_FORMS):
        plain = request._request
        if sent := {*plain.POST, *plain.FILES}:
            raise serializers.ValidationError({name: ["Unknown field."] for name in sorted(sent)})
        return
    read(NoFields, request)
