"""The admin's "Money" page: refunds and cancellations as tables, charts and a CSV file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, timedelta
from typing import Any, Final

from django import forms
from django.contrib.admin import AdminSite
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from core import csv_export
from core.dashboard import DESK
from orders import audit
from orders.models import AuditKind, ReportEmail, Store
from orders.models.report_emails import last_month_end
from orders.reports import totals

PRESETS: Final = (7, 30, 90)
_HEADER: Final = (
    "currency",
    "table",
    "label",
    "refunds",
    "cancellations",
    "refunded",
    "not_confirmed",
    "orders_placed",
)


class PeriodForm(forms.Form):
    """The page's filter: a range of days and, optionally, one store."""

    since = forms.DateField(label="From", widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label="To", widget=forms.DateInput(attrs={"type": "date"}))
    store = forms.ModelChoiceField(
        Store.objects.all(), required=False, label="Store", empty_label="Every store"
    )

    def __init__(self, data: Mapping[str, object], *, user: User | AnonymousUser) -> None:
        super().__init__(data)
        store: Any = self.fields["store"]
        store.queryset = DESK.limited(user, Store.objects.all())
        # The sums of every store are only for those who see every store.
        store.required = DESK.is_limited(user)

    def clean(self) -> dict[str, object]:
        """Reject a period that ends before it starts or is longer than LONGEST_DAYS."""
        cleaned = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and since > until:
            self.add_error("until", "The end date is before the start date.")
        elif since and until and (until - since).days >= totals.LONGEST_DAYS:
            self.add_error("until", f"Choose at most {totals.LONGEST_DAYS} days at a time.")
        return cleaned

    @property
    def period(self) -> totals.Period:
        """The chosen period. Only for a valid form."""
        store = self.cleaned_data["store"]
        return totals.Period(
            self.cleaned_data["since"], self.cleaned_data["until"], store.pk if store else None
        )


def urls(site: AdminSite) -> list[URLPattern]:
    """Return the page's URL patterns for the admin site that shows it."""

    @require_GET
    def page(request: HttpRequest) -> HttpResponse:
        _check(request)
        form = PeriodForm(request.GET if "since" in request.GET else _last(30), user=request.user)
        context = {
            **site.each_context(request),
            "title": "Money",
            "form": form,
            "report": totals.report(form.period) if form.is_valid() else None,
            "address": _address(request),
            "is_monthly": form.is_valid() and _monthly(request, form).exists(),
            "presets": [(f"{days} days", f"?{urlencode(_last(days))}") for days in PRESETS],
        }
        return TemplateResponse(request, "admin/orders/money.html", context)

    # POST, because it writes an audit entry.
    @require_POST
    def download(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        _check(request)
        form = PeriodForm(request.POST, user=request.user)
        if not form.is_valid():
            return _refused(form)
        found = totals.report(form.period)
        lines = list(_lines(found))
        _record(request, found.period, rows=len(lines))
        name = f"money-{found.period.since}-{found.period.until}.csv"
        return StreamingHttpResponse(
            csv_export.rows(_HEADER, lines),
            content_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="{name}"',
                "Cache-Control": "no-store",
            },
        )

    @require_POST
    def monthly(request: HttpRequest) -> HttpResponse:
        _check(request)
        form = PeriodForm(request.POST, user=request.user)
        if not form.is_valid():
            return _refused(form)
        if not isinstance(request.user, User) or not request.user.email:
            text = "Your account has no email address."
            return HttpResponse(text, status=400, content_type="text/plain")
        if request.POST.get("monthly"):
            ReportEmail.objects.get_or_create(
                user=request.user,
                store=form.cleaned_data["store"],
                defaults={"reported_until": last_month_end(timezone.now())},
            )
        else:
            _monthly(request, form).delete()
        asked = {name: request.POST.get(name, "") for name in form.fields}
        return redirect(f"{reverse('admin:orders_money')}?{urlencode(asked)}")

    return [
        path("money/monthly/", site.admin_view(monthly), name="orders_money_monthly"),
        path("money/", site.admin_view(page), name="orders_money"),
        path("money/csv/", site.admin_view(download), name="orders_money_csv"),
    ]


def _lines(found: totals.Report) -> Iterator[tuple[object, ...]]:
    for sheet in found.sheets:
        for table in sheet.tables:
            for row in table.rows:
                yield (
                    sheet.currency,
                    table.key,
                    row.label,
                    row.refunds,
                    row.cancels,
                    row.money.plain(),
                    row.waiting.plain(),
                    row.orders,
                )


def _record(request: HttpRequest, period: totals.Period, *, rows: int) -> None:
    actor = request.user if isinstance(request.user, User) else None
    with transaction.atomic():
        audit.record(
            AuditKind.EXPORT,
            actor=actor,
            store_id=period.store_id,
            what="money",
            rows=rows,
            since=period.since.isoformat(),
            until=period.until.isoformat(),
        )


def _refused(form: PeriodForm) -> HttpResponse:
    errors = [str(text) for texts in form.errors.values() for text in texts]
    return HttpResponse(" ".join(errors), status=400, content_type="text/plain")


def _address(request: HttpRequest) -> str:
    return request.user.email if isinstance(request.user, User) else ""


def _monthly(request: HttpRequest, form: PeriodForm) -> QuerySet[ReportEmail]:
    """The person's row for the chosen store, or for every store. Only for a valid form."""
    return ReportEmail.objects.filter(user=request.user.pk, store=form.period.store_id)


def _last(days: int) -> dict[str, str]:
    today = timezone.now().astimezone(UTC).date()
    return {"since": str(today - timedelta(days=days - 1)), "until": str(today)}


def _check(request: HttpRequest) -> None:
    if not request.user.has_perm("orders.view_orderaction"):
        raise PermissionDenied
