"""Base serializer and fields of the REST API."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields it does not know: a typing error must not be taken for consent."""

    def to_internal_value(self, data: Any) -> Any:
        """Raise ValidationError that names each unknown field."""
        if isinstance(data, dict) and (extra := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError({name: ["Unknown field."] for name in extra})
        return super().to_internal_value(data)


class TextField(serializers.CharField):
    """Text a database holds: no NUL (the base refuses it), no lone surrogates."""

    def to_internal_value(self, data: Any) -> str:
        """Raise ValidationError for text that is not valid Unicode."""
        text = super().to_internal_value(data)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise serializers.ValidationError("Not valid Unicode text.") from error
        return text
