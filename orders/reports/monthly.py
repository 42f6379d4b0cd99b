"""The money report of a month as an email's text, for those who asked for it on its page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, QuerySet
from django.urls import reverse
from django.utils.http import urlencode

from orders import audit
from orders.models import AuditKind, ReportEmail
from orders.models.report_emails import last_month_end
from orders.reports import totals
from orders.reports.money_page import PeriodForm
from orders.reports.shop_sums import ShopSum

_REASONS_AT_MOST: Final = 5


def due(*, now: datetime) -> QuerySet[ReportEmail]:
    """Return the emails to work on now; those never tried come first."""
    rows = ReportEmail.objects.due(now=now)
    return rows.order_by(F("next_attempt_at").asc(nulls_first=True), "pk")


def last_month(row: ReportEmail, *, now: datetime) -> totals.Period:
    """Return the month that the row reports next: the latest that is over."""
    until = last_month_end(now)
    return totals.Period(until.replace(day=1), until, row.store_id)


def may_get(user: User, period: totals.Period) -> bool:
    """Return whether this person may still open the same page, and for this store."""
    if not (user.is_active and user.email and user.has_perm("orders.view_orderaction")):
        return False
    return PeriodForm(_asked(period), user=user).is_valid()


def subject(period: totals.Period) -> str:
    """Return the email's subject, such as "Refunds and cancellations, November 2026"."""
    return f"Refunds and cancellations, {_month(period.since)}"


def text(row: ReportEmail, period: totals.Period) -> str:
    """Return the email's text, with the sums of that month."""
    found = totals.report(period)
    where = str(row.store) if row.store else "every store"
    page = f"{settings.PUBLIC_URL}{reverse('admin:orders_money')}?{urlencode(_asked(period))}"
    parts = [f"{subject(period)}, {where}", *(_sheet(sheet) for sheet in found.sheets)]
    if not found.sheets:
        parts.append("Nothing was refunded or canceled.")
    elif any(sheet.change for sheet in found.sheets):
        parts.append("“Before” is the same number of days before that month.")
    if found.in_shop and found.is_converted:
        sums = " + ".join(_in_shop(each) for each in found.in_shop)
        parts.append(f"All currencies together, as Shopify converted them: {sums}")
    if found.took_from_message:
        parts.append(f"From the customer's first message to the refund: {found.took_from_message}")
    parts.append(f"The whole report: {page}\nYou can stop these emails there.")
    return "\n\n".join(parts)


def done(row: ReportEmail, period: totals.Period, *, is_sent: bool) -> bool:
    """Note that the month was dealt with; False if another worker did.

    A report that was sent is recorded in the audit log, as its downloads are.
    """
    mine = ReportEmail.objects.filter(pk=row.pk, reported_until=row.reported_until)
    with transaction.atomic():
        moved = mine.update(reported_until=period.until, attempts=0, next_attempt_at=None) == 1
        if moved and is_sent:
            audit.record(
                AuditKind.EXPORT,
                actor=row.user,
                store_id=period.store_id,
                what="money by email",
                since=period.since.isoformat(),
                until=period.until.isoformat(),
            )
    return moved


def _in_shop(each: ShopSum) -> str:
    if not each.unknown:
        return str(each.money)
    return f"{each.money} (without {_refunds(each.unknown)} known only in the customer's currency)"


def _refunds(count: int) -> str:
    return f"{count} refund" if count == 1 else f"{count} refunds"


def _sheet(sheet: totals.Sheet) -> str:
    return "\n".join(_lines(sheet))


def _lines(sheet: totals.Sheet) -> Iterator[str]:
    yield sheet.currency
    yield f"Refunded: {sheet.money}" + (f", {sheet.change}" if sheet.change else "")
    if sheet.waiting:
        yield f"Not confirmed yet: {sheet.waiting}"
    yield f"Refunds: {sheet.refunds}{_rate(sheet.refund_rate)}"
    yield f"Canceled orders: {sheet.cancels}{_rate(sheet.cancel_rate)}"
    reasons = next(table for table in sheet.tables if table.key == "reason")
    rows = [row for row in reasons.rows if row.refunds]
    for row in rows[:_REASONS_AT_MOST]:
        yield f"- {row.label}: {row.money} in {_refunds(row.refunds)}"
    if rest := rows[_REASONS_AT_MOST:]:
        money = sum((row.money for row in rest[1:]), start=rest[0].money)
        yield f"- Other reasons: {money} in {_refunds(sum(row.refunds for row in rest))}"


def _rate(rate: str) -> str:
    return f" ({rate} of orders placed)" if rate else ""


def _month(day: date) -> str:
    # The admin is in English only.
    names = "January February March April May June July August September October November December"
    return f"{names.split()[day.month - 1]} {day.year}"


def _asked(period: totals.Period) -> dict[str, str]:
    store = str(period.store_id) if period.store_id else ""
    return {"since": str(period.since), "until": str(period.until), "store": store}
