"""Shared by all admin pages: readable help texts, amounts as people write them, read-only rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import flatten_fieldsets, get_fields_from_path
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db import models
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.dashboard import DESK
from orders import audit
from orders.errors import InvalidMoney
from orders.models import AuditKind
from orders.money import Money
from orders.previews import amount_input
from orders.statuses.badges import (
    FULFILLMENT_WORDS,
    PAYMENT_WORDS,
    fulfillment_word,
    payment_word,
)

if TYPE_CHECKING:
    from django.contrib.admin.filters import _ListFilterChoices
    from django.contrib.admin.views.main import ChangeList

    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin

_STATUS_LABELS: Final = {
    "financial_status": payment_word,
    "fulfillment_status": fulfillment_word,
}
# More than any column has, so that the column's own validator reports how many it takes.
_MAX_DECIMALS: Final = 12
# Of a list's rows: a hundred pages.
_COUNTED: Final = 5_000


class SumInput(forms.TextInput):
    """A text input that shows an amount as people write it: 150.00, not 150.0000.

    Digits that a currency really has stay. It isn't a number input, because a browser set to
    another language than the user's drops an amount typed with a comma, and an empty limit means
    no limit.
    """

    def __init__(self, attrs: dict[str, object] | None = None) -> None:
        super().__init__({"inputmode": "decimal", "class": "sum-field", "autocomplete": "off"})

    def format_value(self, value: object) -> str | None:
        """Write the amount in the reader's language; four decimals where three could be
        thousands."""
        if not isinstance(value, Decimal):
            shown: str | None = super().format_value(value)
            return shown
        money = Money(value, "")
        # Three decimals could be thousands; four are decimals in every language.
        return amount_input.write(money, places=4 if money.places == 3 else None)


class SumField(forms.DecimalField):
    """An amount as people type it in their language; an ambiguous one is a validation error."""

    widget = SumInput

    def to_python(self, value: Any) -> Any:
        """Parse the amount in the reader's language. Raises ValidationError if it is ambiguous."""
        if isinstance(value, str) and value.strip():
            try:
                value = amount_input.read(value, "", places=_MAX_DECIMALS).amount
            except InvalidMoney as error:
                raise forms.ValidationError(str(error), code="invalid") from error
        return super().to_python(value)


def plain_sum(amount: Decimal) -> str:
    """Format an amount with at least two decimals, and no trailing zeros beyond those."""
    return Money(amount, "").plain()


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Pages through the first _COUNTED rows of a list, and counts no more of them.

    Counting all rows of a large table reads all of it. Whoever looks for older rows filters.
    """

    @cached_property
    def count(self) -> int:
        """The number of rows, up to _COUNTED."""
        rows: Any = self.object_list
        return int(rows[:_COUNTED].count())


class DeskAdmin(ModelAdmin):
    """Base of the admin pages. `help_texts` adds help where the model field has none."""

    help_texts: ClassVar[Mapping[str, str]] = {}
    list_title: ClassVar[str] = ""
    list_intro: ClassVar[str] = ""
    list_empty: ClassVar[str] = "Nothing here yet."
    show_full_result_count = False
    paginator = BoundedPaginator
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows that this person sees; their lists, pages, exports and actions start here."""
        return DESK.limited(request.user, super().get_queryset(request))

    def get_field_queryset(
        self, db: str | None, db_field: Any, request: HttpRequest
    ) -> QuerySet[Any] | None:
        """Return the choices of a foreign key or a selection of rows, as far as this person sees
        them."""
        rows: QuerySet[Any] | None = super().get_field_queryset(db, db_field, request)
        if not DESK.is_limited(request.user):
            return rows
        if rows is None:
            rows = db_field.remote_field.model._default_manager.all()
        return DESK.choices(request.user, rows)

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Return the filters; those of foreign keys name only what the person's own rows have."""
        found = super().get_list_filter(request)
        if not DESK.is_limited(request.user):
            return found
        return [self._narrow(each) for each in found]

    def _narrow(self, each: Any) -> Any:
        if not isinstance(each, str):
            return each
        field = get_fields_from_path(self.model, each)[-1]
        return (each, admin.RelatedOnlyFieldListFilter) if field.remote_field else each

    def has_add_permission(self, request: HttpRequest, *more: Any) -> bool:
        """Refuse, too, where the person's teams don't let them see a single row."""
        is_allowed: bool = super().has_add_permission(request, *more)
        return is_allowed and DESK.may_add(request.user, self.model)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Return a row. Raises Http404 for one that doesn't exist or isn't this person's to see."""
        found = super().get_object(request, object_id, from_field)
        if found is None:
            # Without the permission the answer is the same for every ID.
            if not self.has_view_or_change_permission(request):
                raise PermissionDenied
            raise Http404
        return found

    def get_form(
        self,
        request: HttpRequest,
        obj: models.Model | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Add help texts for computed fields, which Django gives none."""
        kwargs["help_texts"] = self._help_of_computed_fields() | dict(self.help_texts)
        return super().get_form(request, obj, change=change, **kwargs)

    def _help_of_computed_fields(self) -> dict[str, str]:
        """Help texts of computed fields: a method's docstring, or a sum column's `help_text`.

        The docstrings of methods listed in `fieldsets` are therefore shown to people.
        """
        texts = {}
        for name in _field_names(self.fieldsets):
            if callable(name):
                texts[name.__name__] = getattr(name, "help_text", "")
            elif (method := getattr(type(self), name, None)) and method.__doc__:
                texts[name] = method.__doc__.strip()
        return texts

    def formfield_for_dbfield(
        self, db_field: models.Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        """Use SumField for amounts, and label both inputs of a date and time."""
        if isinstance(db_field, models.DecimalField):
            kwargs |= {"widget": SumInput, "form_class": SumField}
        if isinstance(db_field, models.URLField):
            kwargs["assume_scheme"] = "https"
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if isinstance(field, forms.SplitDateTimeField):
            # There are two inputs, and Django's label belongs to neither.
            for part, name in zip(field.widget.widgets, ("date", "time"), strict=True):
                part.attrs["aria-label"] = f"{field.label}: {name}"
        return field

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Add the list's introduction, and the text of an empty list."""
        context = {"list_intro": self.list_intro, "list_empty": self.list_empty}
        if self.list_title:
            context["title"] = self.list_title
        return super().changelist_view(request, context | (extra_context or {}))

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[models.Model], *more: Any
    ) -> HttpResponse | None:
        """Run the chosen action. Selected IDs that no row can have are dropped, like those of rows
        that are gone; Django would fail on them."""
        chosen = request.POST.copy()
        known = [pk for pk in chosen.getlist(ACTION_CHECKBOX_NAME) if self._is_possible(pk)]
        chosen.setlist(ACTION_CHECKBOX_NAME, known)
        request.POST = chosen  # type: ignore[assignment]
        return super().response_action(request, queryset, *more)

    def _is_possible(self, pk: str) -> bool:
        try:
            self.opts.pk.clean(pk, None)
        except (ValidationError, ValueError):
            return False
        return True


class ReadOnlyAdmin(DeskAdmin):
    """A page to look at only; adding, changing and deleting are off, for superusers too."""

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


class StatusFilter(admin.AllValuesFieldListFilter):
    """Filter by Shopify's status values, labeled like their badges; none reads "Unknown".

    Offers all known values: finding those that occur would read the whole table.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = PAYMENT_WORDS if self.field_path == "financial_status" else FULFILLMENT_WORDS
        self.lookup_choices = ["", *known]  # type: ignore[assignment]

    def choices(self, changelist: ChangeList) -> Iterator[_ListFilterChoices]:
        """Label each status like its badge."""
        label_of = _STATUS_LABELS[str(self.field_path)]
        for choice in super().choices(changelist):
            raw = str(choice["display"] or "")
            label = label_of(raw) if raw.isupper() else raw
            yield {**choice, "display": label or "Unknown"}


def _field_names(fieldsets: Any) -> list[Any]:
    """Flatten fieldsets to field names, and functions that compute a field."""
    return list(flatten_fieldsets(fieldsets or ()))


def sum_column(amount: str, currency: str, description: str, help_text: str = "") -> Any:
    """Build an admin column that shows a row's amount in its currency."""

    @admin.display(description=description, ordering=amount)
    def column(row: models.Model) -> str:
        value = getattr(row, amount)
        code = getattr(row, currency) or ""
        if value is None:
            return "–"
        return Money(value, code).format("en") if code else plain_sum(value)

    column.__name__ = f"{amount}_sum"
    column.help_text = help_text  # type: ignore[attr-defined]
    return column


def link(url: str, text: str) -> SafeString | str:
    """Return a link, or the plain text if there is no URL."""
    return format_html('<a href="{}">{}</a>', url, text) if url else text


def user_of(request: HttpRequest) -> User:
    """Return the user behind an admin request, for the audit log. Raises PermissionDenied."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def note_change(
    kind: AuditKind,
    request: HttpRequest,
    pk: int,
    form: forms.BaseForm,
    change: bool,
    **detail: Any,
) -> None:
    """Audit which settings were changed, from what to what. Not for forms that hold secrets."""
    values = {
        name: [str(form.initial.get(name)), str(form.cleaned_data.get(name))]
        for name in form.changed_data
    }
    actor = request.user if isinstance(request.user, User) else None
    after = "changed" if change else "added"
    audit.record(kind, actor=actor, after=after, row=pk, values=values, **detail)
