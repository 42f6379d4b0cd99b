"""The form fields of a policy's conditions that are lists."""

from __future__ import annotations

from typing import Any, Final

from django import forms

from orders import previews
from orders.shopify_port import CANCEL_REASON_LABELS

_WORDS_AT_MOST: Final = 200


class WordsField(forms.CharField):
    """A list of texts, one per line; empty lines and repetitions are dropped."""

    widget = forms.Textarea(attrs={"rows": 3, "cols": 40})

    def prepare_value(self, value: Any) -> Any:
        """Write one per line; what was typed stays as it was typed."""
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """Split into lines. Raises ValidationError if there are more than a policy should have."""
        lines = [line.strip() for line in str(value or "").splitlines()]
        words = list({line.casefold(): line for line in lines if line}.values())
        if len(words) > _WORDS_AT_MOST:
            raise forms.ValidationError(f"Enter at most {_WORDS_AT_MOST}.", code="max_words")
        return words

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare the lists, not how they were typed."""
        return bool(self.to_python(data) != (initial or []))


class ReasonsField(forms.MultipleChoiceField):
    """Reasons for refunds and for cancellations, as agents choose them."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, **options: Any) -> None:
        choices = [
            *((key, f"Refund: {label}") for key, label in previews.REFUND_REASONS.items()),
            *((key, f"Cancel: {label}") for key, label in CANCEL_REASON_LABELS.items()),
        ]
        super().__init__(choices=choices, **options)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare as sets."""
        return set(initial or []) != set(data or [])


FIELDS: Final[dict[str, type[forms.Field]]] = {
    "approval_reasons": ReasonsField,
    "approval_products": WordsField,
    "approval_order_tags": WordsField,
    "approval_payment_methods": WordsField,
}
