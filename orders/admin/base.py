"""What every page of the admin shares: words for operations people, sums as sums, read-only rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.auth.models import User
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from orders import (
    amount_input,
    audit,
)
from orders.errors import InvalidMoney
from orders.models import AuditKind
from orders.money import Money
from orders.statuses.badges import (
    fulfillment_word,
    payment_word,
)

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin

_STATUS_WORDS: Final = {
    "financial_status": payment_word,
    "fulfillment_status": fulfillment_word,
}
# More than a column has, whose own message then says how many it has.
_MOST_DECIMALS: Final = 12


class SumInput(forms.TextInput):
    """A sum as people write it: 150.00, not 150.0000. Digits a currency really has stay. No number
    input: a browser in another language than the typist's sends such a one's comma as nothing,
    and an empty limit is none."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"inputmode": "decimal", "class": "sum-field", "autocomplete": "off"})

    def format_value(self, value: Any) -> str | None:
        if not isinstance(value, Decimal):
            shown: str | None = super().format_value(value)
            return shown
        money = Money(value, "")
        # Three decimals could be thousands; four are decimals in every language.
        return amount_input.write(money, places=4 if money.places == 3 else None)


class SumField(forms.DecimalField):
    """A sum as people type it, in their language; what could be two sums is asked about."""

    widget = SumInput

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and value.strip():
            try:
                value = amount_input.read(value, "", places=_MOST_DECIMALS).amount
            except InvalidMoney as error:
                raise forms.ValidationError(str(error), code="invalid") from error
        return super().to_python(value)


def plain_sum(amount: Decimal) -> str:
    """Two decimals at least, and no zeros after them."""
    return Money(amount, "").plain()


class DeskAdmin(ModelAdmin):
    """`help_texts` explain fields where the model does not; the list says what it is for."""

    help_texts: ClassVar[Mapping[str, str]] = {}
    list_title: ClassVar[str] = ""
    list_intro: ClassVar[str] = ""
    list_empty: ClassVar[str] = "Nothing here yet."
    show_full_result_count = False
    list_per_page = 50

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        kwargs["help_texts"] = self._computed_words() | dict(self.help_texts)
        return super().get_form(request, obj, change=change, **kwargs)

    def _computed_words(self) -> dict[str, str]:
        """A computed field is explained by its docstring, a sum's column by its own words."""
        words = {}
        for name in _names(self.fieldsets):
            if callable(name):
                words[name.__name__] = getattr(name, "help_text", "")
            elif (method := getattr(type(self), name, None)) and method.__doc__:
                words[name] = method.__doc__.strip()
        return words

    def formfield_for_dbfield(
        self, db_field: models.Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        if isinstance(db_field, models.DecimalField):
            kwargs |= {"widget": SumInput, "form_class": SumField}
        if isinstance(db_field, models.URLField):
            kwargs["assume_scheme"] = "https"
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if isinstance(field, forms.SplitDateTimeField):
            # Two inputs, and Django's own label is tied to neither.
            for part, name in zip(field.widget.widgets, ("date", "time"), strict=True):
                part.attrs["aria-label"] = f"{field.label}: {name}"
        return field

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        words = {"list_intro": self.list_intro, "list_empty": self.list_empty}
        if self.list_title:
            words["title"] = self.list_title
        return super().changelist_view(request, words | (extra_context or {}))


class ReadOnlyAdmin(DeskAdmin):
    """A look, and no back door: no adding, changing or deleting."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class StatusFilter(admin.AllValuesFieldListFilter):
    """Shopify's words as they occur, each as its badge says it; a row without one has a name too."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        said = _STATUS_WORDS[str(self.field_path)]
        for choice in super().choices(changelist):
            raw = str(choice["display"] or "")
            words = said(raw) if raw.isupper() else raw
            yield {**choice, "display": words or "Not known"}


def _names(fieldsets: Any) -> list[Any]:
    """Names of fields, and functions that compute one."""
    return list(flatten_fieldsets(fieldsets or ()))


def sum_column(amount: str, currency: str, description: str, help_text: str = "") -> Any:
    """A column of a row's amount in its currency: a function, as admin lists take one."""

    @admin.display(description=description, ordering=amount)
    def column(row: Any) -> str:
        value = getattr(row, amount)
        code = getattr(row, currency) or ""
        if value is None:
            return "–"
        return Money(value, code).format("en") if code else plain_sum(value)

    column.__name__ = f"{amount}_sum"
    column.help_text = help_text  # type: ignore[attr-defined]
    return column


def link(url: str, text: str) -> SafeString | str:
    return format_html('<a href="{}">{}</a>', url, text) if url else text


def note_change(
    kind: AuditKind, request: HttpRequest, pk: int, form: Any, change: bool, **detail: Any
) -> None:
    """Who changed which settings, from what to what. These forms hold no secrets."""
    values = {
        name: [str(form.initial.get(name)), str(form.cleaned_data.get(name))]
        for name in form.changed_data
    }
    actor = request.user if isinstance(request.user, User) else None
    word = "changed" if change else "added"
    audit.record(kind, actor=actor, after=word, row=pk, values=values, **detail)
