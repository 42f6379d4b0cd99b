"""The list of orders, narrowed: by state, date, store, and what needs attention."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any, Final

from django import forms
from django.db.models import Q, QuerySet, TextChoices
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.database.keyset import rows_before
from orders.models import ActionState, OrderAction, Store
from orders.models.orders import OrderQuerySet
from orders.reports import refunds_due

_DAY: Final = timedelta(days=1)
_FIRST_YEAR: Final = 2000
_LAST_YEAR: Final = 2100


# What browsers send and expect, in every language.
_ISO: Final = "%Y-%m-%d"


def _day_input() -> forms.DateInput:
    widget = forms.DateInput(format=_ISO)
    widget.input_type = "date"
    return widget


class State(TextChoices):
    """Where an order stands."""

    OPEN = "open", _("Open")
    ARCHIVED = "archived", _("Archived")
    CANCELED = "canceled", _("Canceled")


class Attention(TextChoices):
    """Why someone has to look at an order."""

    HELD = "held", _("Canceled, not refunded")
    FAILED = "failed", _("Failed refund")
    APPROVAL = "approval", _("Waiting for approval")
    DOUBT = "doubt", _("Outcome unknown")


class OrderFilters(forms.Form):
    """The filters of the order list. Valid ones narrow the list by `narrow`; none are required."""

    state = forms.ChoiceField(
        label=_("State"), required=False, choices=[("", _("Any")), *State.choices]
    )
    attention = forms.ChoiceField(
        label=_("Needs attention"), required=False, choices=[("", _("Any")), *Attention.choices]
    )
    store = forms.ModelChoiceField(
        label=_("Store"), required=False, queryset=Store.objects.none(), empty_label=_("All stores")
    )
    since = forms.DateField(
        label=_("Placed from"), required=False, widget=_day_input(), input_formats=[_ISO]
    )
    until = forms.DateField(
        label=_("Placed until"), required=False, widget=_day_input(), input_formats=[_ISO]
    )

    def __init__(self, data: Any, *, stores: QuerySet[Store]) -> None:
        """`stores` are those that may be chosen."""
        super().__init__(data, auto_id=False)
        chosen: Any = self.fields["store"]
        chosen.queryset = stores
        for name, field in self.fields.items():
            field.widget.attrs |= {"class": "input", "id": f"filter-{name}"}

    def full_clean(self) -> None:
        """Also tie each field to its error, for screen readers."""
        super().full_clean()
        for name in self.errors.keys() & self.fields.keys():
            self.fields[name].widget.attrs["aria-describedby"] = f"{name}-error"

    def clean(self) -> dict[str, Any]:
        """Refuse a period that ends before it begins, and years that no order is from."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        for name in ("since", "until"):
            if (day := found.get(name)) and not _FIRST_YEAR <= day.year <= _LAST_YEAR:
                self.add_error(name, _("Choose a year between 2000 and 2100."))
        since, until = found.get("since"), found.get("until")
        if not self.errors and since and until and since > until:
            self.add_error("until", _("This is before the start date. Choose a later date."))
        return found

    @property
    def is_narrowed(self) -> bool:
        """Whether any valid filter hides orders."""
        return any(self.cleaned_data.values())

    @property
    def parameters(self) -> dict[str, str]:
        """The filters in use as URL parameters."""
        found = self.cleaned_data
        texts = {
            "state": found["state"],
            "attention": found["attention"],
            "store": str(found["store"].pk) if found["store"] else "",
            "since": found["since"].isoformat() if found["since"] else "",
            "until": found["until"].isoformat() if found["until"] else "",
        }
        return {name: text for name, text in texts.items() if text}

    def narrow(self, orders: OrderQuerySet) -> OrderQuerySet:
        """Return those of the orders that the filters, which have to be valid, let through."""
        found = self.cleaned_data
        if found["store"]:
            orders = orders.filter(store=found["store"])
        if found["since"]:
            orders = orders.filter(placed_at__gte=_begin(found["since"]))
        if found["until"]:
            orders = orders.filter(placed_at__lt=_begin(found["until"] + _DAY))
        orders = orders.filter(_STATES.get(found["state"], Q()))
        return _needing(orders, found["attention"])


_STATES: Final = {
    State.OPEN: Q(closed_at=None, cancelled_at=None),
    State.ARCHIVED: Q(closed_at__isnull=False),
    State.CANCELED: Q(cancelled_at__isnull=False),
}
_IN_DOUBT: Final = (ActionState.UNKNOWN, ActionState.NEEDS_HUMAN)


def _needing(orders: OrderQuerySet, attention: str) -> OrderQuerySet:
    """Return the orders that need this attention, as *Decisions* lists them."""
    if attention == Attention.HELD:
        return refunds_due.canceled(orders)
    if attention == Attention.FAILED:
        return refunds_due.failed(orders)
    if attention == Attention.APPROVAL:
        return orders.filter(pk__in=_with_action(ActionState.AWAITING_APPROVAL))
    if attention == Attention.DOUBT:
        return orders.filter(pk__in=_with_action(*_IN_DOUBT))
    return orders


def _with_action(*states: ActionState) -> QuerySet[OrderAction, Any]:
    return OrderAction.objects.filter(state__in=states).values("order")


def _begin(day: Any) -> datetime:
    """Return the first moment of a day, in the time zone that pages show."""
    return timezone.make_aware(datetime.combine(day, time.min))


def after(orders: OrderQuerySet, at: datetime, pk: int) -> OrderQuerySet:
    """Return the orders that follow this position when sorted newest first (keyset paging)."""
    return orders.filter(rows_before(("placed_at", "pk"), (at, pk)))
