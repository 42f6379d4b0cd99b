"""The customer of a request for approval: their name, their latest words, and what the store knows.

Only what the user may see (inbox.visibility) is named or linked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Count, Max, Sum
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from inbox.contacts import identities
from inbox.models import Contact, Conversation, MessageKind
from inbox.models.conversations import conversation_id
from inbox.visibility import Scope
from orders import rules
from orders.models import Customer, Order, OrderAction, OrderRefund
from orders.money import Money

_WORDS_SHOWN: Final = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The customer's latest words."""

    text: str
    author: str
    at: datetime
    conversation_url: str
    contact_id: int


def name(order: Order) -> str:
    """Return the customer's name, or what else is known of them."""
    customer = order.snapshot.customer
    return (customer.name if customer else "") or order.email or order.phone or _("No customer")


def contact_of(action: OrderAction, scope: Scope) -> Contact | None:
    """Return the contact the request is about, if the user sees them: that of its conversation, else
    the order's."""
    pk = conversation_id(action.origin)
    if pk is not None and (found := scope.contacts().filter(conversations=pk).first()):
        return found
    return scope.contacts().filter(pk__in=identities.contacts_of(action.order)).first()


def conversation_of(
    action: OrderAction, contact: Contact | None, scope: Scope
) -> Conversation | None:
    """Return the conversation it was requested from, else the customer's latest, if the user sees it."""
    pk = conversation_id(action.origin)
    seen = scope.conversations().select_related("contact")
    if pk is not None and (found := seen.filter(pk=pk).first()):
        return found
    return seen.filter(contact=contact).order_by("-pk").first() if contact else None


def quote_of(conversation: Conversation | None) -> Quote | None:
    """Return what the customer last wrote; None if they wrote no text."""
    if conversation is None:
        return None
    said = conversation.messages.filter(kind=MessageKind.INBOUND).exclude(text="")
    latest = said.select_related("sender").order_by("-created_at", "-pk").first()
    if latest is None:
        return None
    text = latest.text
    return Quote(
        text=text if len(text) <= _WORDS_SHOWN else f"{text[:_WORDS_SHOWN].rstrip()}…",
        author=latest.sender.shown_name if latest.sender else conversation.contact.shown_name,
        at=latest.created_at,
        conversation_url=reverse("inbox:conversation", args=[conversation.pk]),
        contact_id=conversation.contact_id,
    )


def facts(order: Order) -> tuple[tuple[str, str], ...]:
    """Return what this store knows of the customer: orders, earlier refunds, disputes. Two queries."""
    facts = []
    customer = Customer.objects.filter(store=order.store_id, gid=order.customer_gid).first()
    if order.customer_gid and customer and customer.order_count is not None:
        text = ngettext("%(n)s order", "%(n)s orders", customer.order_count)
        shown = [text % {"n": customer.order_count}]
        if customer.spent is not None and customer.spent_currency:
            spent = Money(customer.spent, customer.spent_currency)
            shown.append(_("%(sum)s spent") % {"sum": spent.format()})
        facts.append((_("Orders"), " · ".join(shown)))
        if customer.customer_since:
            since = date_format(localtime(customer.customer_since), "F Y")
            facts.append((_("Customer since"), since))
    facts.append((_("Earlier refunds"), _earlier_refunds(order)))
    facts.append((pgettext("payment", "Disputes"), _disputes(order)))
    return tuple(facts)


def _earlier_refunds(order: Order) -> str:
    refunds = OrderRefund.objects.filter(order__store=order.store_id, order__is_test=False)
    if order.customer_gid:
        refunds = refunds.filter(order__customer_gid=order.customer_gid)
    else:
        refunds = refunds.filter(order=order.pk)
    sums = (
        refunds.filter(moved__gt=0)
        .values("order__currency")
        .annotate(n=Count("pk"), sum=Sum("moved"), last=Max("refunded_at"))
        .order_by("order__currency")
    )
    shown = []
    for row in sums:
        amount = Money(row["sum"], row["order__currency"]).format()
        text = ngettext("%(n)s, %(sum)s", "%(n)s, %(sum)s in total", row["n"])
        text = text % {"n": row["n"], "sum": amount}
        if row["last"]:
            text = _("%(refunds)s, last on %(day)s") % {
                "refunds": text,
                "day": date_format(localtime(row["last"]), "j M Y"),
            }
        shown.append(text)
    return "; ".join(shown) or _("None")


def _disputes(order: Order) -> str:
    if rules.has_open_dispute(order.snapshot):
        return _("Open on this order: a chargeback would pay twice")
    if rules.has_lost_dispute(order.snapshot):
        return _("Lost on this order: the money is already back with the customer")
    return _("None on this order")
