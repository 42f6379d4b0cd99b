"""Compose a campaign's message for one customer: their language, their values, their address.

The preview of a confirmation and the message itself both come from here, so they are identical.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from babel.core import Locale, UnknownLocaleError
from babel.dates import format_date
from django.utils.translation import gettext as _
from django.utils.translation import override

from inbox.channels import (
    recipients,
    sms,
)
from inbox.models import Campaign, CampaignText, ChannelKind, Conversation, Via
from inbox.outbox import Draft
from inbox.suppression import relevance as news
from inbox.suppression.refund_outcome import news_of
from inbox.texts import (
    placeholders,
    refunds,
)
from inbox.texts.refunds import Share
from orders.checkout_snapshot import CheckoutSnapshot
from orders.models import EventKind, Order, OrderEvent, Store
from orders.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The values a message can use, before they are written out in a language."""

    store: Store
    name: str = ""
    order_number: str = ""
    placed_at: datetime | None = None
    amount: Money | None = None
    # The refund that a confirmation reports.
    refund: Money | None = None
    shares: tuple[Share, ...] = ()
    references: tuple[str, ...] = ()
    tracking: str = ""
    checkout_url: str = ""
    unsubscribe_url: str = ""


def language_of(order: Order, conversation: Conversation | None) -> str:
    """Return the customer's language, from their contact or else from Shopify; "" if unknown."""
    if conversation is not None and conversation.contact.language:
        return conversation.contact.language
    customer = order.snapshot.customer
    return customer.locale if customer else ""


def facts_of(
    order: Order,
    kind: str,
    *,
    amount: Money | None = None,
    shares: tuple[Share, ...] = (),
    tracking: str = "",
) -> Facts:
    """Collect the facts of an order event.

    `amount` is that of the refund or payment. For other kinds, and without one, it is the order's
    total. `shares` says how the refund is split over payment methods.
    """
    snapshot = order.snapshot
    address = snapshot.shipping_address
    is_confirmation = kind in {EventKind.CANCELED, EventKind.REFUNDED}
    return Facts(
        store=order.store,
        name=spoken_name(
            snapshot.customer.name if snapshot.customer else (address.name if address else "")
        ),
        order_number=order.name,
        placed_at=snapshot.placed_at,
        amount=amount if is_confirmation or amount else snapshot.money.total.presentment,
        refund=amount if is_confirmation else None,
        shares=shares if is_confirmation else (),
        tracking=tracking,
    )


def facts_of_event(event: OrderEvent) -> Facts:
    """Collect an event's facts; a refund's as it stands now, not as it was when recorded."""
    if event.kind == EventKind.REFUNDED:
        news = news_of(event)
        facts = facts_of(event.order, event.kind, amount=news.amount, shares=news.shares)
        return replace(facts, references=news.references)
    amount = event.money if event.kind == EventKind.PAID else None
    return facts_of(event.order, event.kind, amount=amount, tracking=tracking_of(event))


def tracking_of(event: OrderEvent) -> str:
    """Return the current tracking numbers of the event's shipment; "" if there are none."""
    parcel = news.parcel_of(event)
    return ", ".join(t.number for t in parcel.tracking if t.number) if parcel else ""


def spoken_name(name: str) -> str:
    """Return a name fit for a greeting; "" if it's an address.

    Shopify shows the email address or phone number of a customer who gave no name.
    """
    text = name.strip()
    has_letters = any(letter.isalpha() for letter in text)
    return "" if "@" in text or not has_letters else text


def facts_of_checkout(store: Store, checkout: CheckoutSnapshot) -> Facts:
    """Collect the facts of a checkout as it was just read from Shopify."""
    return Facts(
        store=store,
        name=spoken_name(checkout.name),
        amount=checkout.total,
        checkout_url=checkout.url,
    )


def text_for(campaign: Campaign, language: str) -> tuple[CampaignText, str]:
    """Return the campaign's text for a customer's language, and the language to format values in.

    They match: a sum formatted for one language must not end up in a sentence of another.
    """
    texts = {row.language.lower(): row for row in campaign.translations.all()}
    wanted = language.replace("_", "-").lower()
    for code in (wanted, placeholders.base(language)):
        if code and code in texts:
            return texts[code], language
    if placeholders.base(language) == placeholders.base(campaign.language):
        return campaign, language
    return campaign, campaign.language


def compose(campaign: Campaign, via: Via, recipient: str, facts: Facts, language: str) -> Draft:
    """Compose the message exactly as it is sent; refused if the text needs a missing value."""
    text, spoken = text_for(campaign, language)
    values = _values(facts, spoken)
    template = text.sms_text if via == Via.SMS and text.sms_text else text.body
    try:
        # A mail's subject is one line, so the preview shows one line as well.
        subject = " ".join(placeholders.fill(text.subject, values).split())
        body = placeholders.fill(template, values).strip()
    except placeholders.MissingValue as error:
        return Draft(via=via, refusal=str(error), lacks=error.name)
    if via != Via.EMAIL:
        subject = ""
    return Draft(via=via, recipient=recipient, subject=subject, body=body)


def address_refusal(via: Via, recipient: str, conversation: Conversation | None) -> str:
    """Return why a channel doesn't reach the customer; "" if it does."""
    if via == Via.CONVERSATION:
        if conversation is None:
            return _("The customer has no conversation.")
        is_mail = conversation.channel.kind == ChannelKind.EMAIL
        if is_mail and not recipients.email_of(conversation, proven_only=True):
            return _("The contact has no verified email address.")
        return ""
    if via == Via.SMS and not sms.is_configured():
        return _("No SMS provider is set up.")
    if recipient:
        return ""
    return _NO_ADDRESS[via]()


# Lambdas, because the active language is known only when they are called.
_NO_ADDRESS: Final = {
    Via.EMAIL: lambda: _("The order has no email address."),
    Via.SMS: lambda: _("The order has no phone number with a country code."),
}


def _values(facts: Facts, language: str) -> Mapping[str, str]:
    refund, how, reference = "", "", ""
    if facts.refund:
        with override(language if placeholders.has_catalog(language) else "en"):
            refund = _("We are refunding %(sum)s.") % {"sum": facts.refund.format(language)}
            how = refunds.sentences(facts.shares, language)
            reference = refunds.reference_sentence(facts.references)
    first = facts.name.split()
    return {
        "order.number": facts.order_number,
        "order.date": _date(facts.placed_at, facts.store, language) if facts.placed_at else "",
        "tracking.numbers": facts.tracking,
        "checkout.url": facts.checkout_url,
        "unsubscribe_url": facts.unsubscribe_url,
        "customer.name": facts.name,
        "customer.first_name": first[0] if first else "",
        "amount": facts.amount.format(language) if facts.amount else "",
        "refund_sentence": refund,
        "refund_how": how,
        "refund_reference": reference,
        "store.name": str(facts.store),
    }


def _date(moment: datetime, store: Store, language: str) -> str:
    return format_date(moment.astimezone(store.zone), format="long", locale=_locale(language))


def _locale(language: str) -> Locale:
    """Return Babel's locale for a language, without its country if need be, or else English.

    Sums are formatted with the same fallbacks.
    """
    for code in (language.replace("-", "_"), placeholders.base(language)):
        try:
            return Locale.parse(code)
        except (UnknownLocaleError, ValueError):
            continue
    return Locale.parse("en")
