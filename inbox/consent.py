"""Whether a customer agreed to marketing on a channel: as Shopify says now, or not at all.

One function answers, so that what is asked can become a row of ours without anybody noticing.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from inbox.models import Via
from orders.gateway import get_gateway
from orders.heads import consent_word
from orders.models import Order
from orders.shoppers import CheckoutSnapshot, Consent, Consents


def consent_of(thing: Order | CheckoutSnapshot, via: Via) -> Consent | None:
    """The consent of the customer of an order or checkout; None: Shopify tells of none.

    Asks Shopify for an order's, so it must not be called in a transaction. Raises
    ShopUnreachable. A checkout was just read, together with it.
    """
    found = thing.consents if isinstance(thing, CheckoutSnapshot) else _of_order(thing)
    if via == Via.EMAIL:
        return found.email
    return found.phone if via == Via.SMS else None


def refusal(consent: Consent | None) -> str:
    """Why marketing must not be sent; "" where the customer said yes."""
    if consent is None or not consent.state:
        return _("Shopify tells of no consent to marketing on this channel.")
    if consent.is_given:
        return ""
    return _("Consent to marketing: %(state)s.") % {"state": consent_word(consent.state)}


def _of_order(order: Order) -> Consents:
    # Shopify may still know a person who was redacted here.
    if not order.customer_gid or order.masked_at:
        return Consents()
    return get_gateway().read_consents(order.store, order.customer_gid)
