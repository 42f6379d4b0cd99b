"""Sentences that say how a refund reaches the customer, by its payment methods.

Both the review and the message come from here. The review takes the methods from the proposal,
the message from what Shopify shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from orders.money import Money
from orders.previews import Proposal
from orders.snapshot import OrderSnapshot, Refund
from orders.statuses.money_moved import has_moved


class Way(StrEnum):
    """How a refund is paid out, in the order in which a message lists them."""

    CARD = "card"
    BANK = "bank"
    CASH = "cash"
    GIFT_CARD = "gift_card"
    STORE_CREDIT = "store_credit"
    # Recorded by hand, with a payment method the shop named itself: we can't tell how it is paid.
    BY_HAND = "by_hand"


Share = tuple[Way, Money]
# Shopify's own gateway names, without case and punctuation. Shops may add methods of any name.
_WAYS: Final = {
    "shopify store credit": Way.STORE_CREDIT,
    "store credit": Way.STORE_CREDIT,
    "gift card": Way.GIFT_CARD,
    "cash": Way.CASH,
    "cash on delivery": Way.CASH,
    "cash on delivery cod": Way.CASH,
    "cod": Way.CASH,
    "bank deposit": Way.BANK,
    "bank transfer": Way.BANK,
    "money order": Way.BY_HAND,
    "manual": Way.BY_HAND,
}


def way_of(gateway: str, *, is_manual: bool) -> Way:
    """Classify a gateway; an unknown one is a card, or by hand if its payments are manual."""
    method = " ".join(re.findall(r"\w+", gateway.lower().replace("_", " ")))
    return _WAYS.get(method, Way.BY_HAND if is_manual else Way.CARD)


def of_proposal(proposal: Proposal) -> tuple[Share, ...]:
    """Return how a proposed refund is split, summed by way; () if currencies are mixed."""
    return _summed(
        (way_of(target.gateway, is_manual=target.is_manual), target.amount)
        for target in proposal.targets
    )


def of_refund(refund: Refund, snapshot: OrderSnapshot) -> tuple[Share, ...]:
    """Return how the part of a refund that has moved is split, as Shopify lists it."""
    manual = {t.gateway for t in snapshot.transactions if t.is_manual}
    return _summed(
        (way_of(t.gateway, is_manual=t.gateway in manual), t.amount.presentment)
        for t in refund.transactions
        if has_moved(t.status)
    )


def _summed(shares: Iterable[Share]) -> tuple[Share, ...]:
    sums: dict[Way, Money] = {}
    for way, amount in shares:
        if way not in sums:
            sums[way] = amount
        elif sums[way].currency == amount.currency:
            sums[way] += amount
        else:
            # One sentence can't state sums in several currencies.
            return ()
    return tuple((way, sums[way]) for way in Way if sums.get(way))


def sentence(way: Way) -> str:
    """Return the sentence in the active language; "" if we can't tell anything for certain."""
    match way:
        case Way.CARD:
            return _("Depending on your bank, it arrives within ten days.")
        case Way.BANK:
            return _("We return it by bank transfer.")
        case Way.CASH:
            return _("You paid in cash, so we will arrange with you how to return your money.")
        case Way.GIFT_CARD:
            return _("It is back on the gift card you paid with.")
        case Way.STORE_CREDIT:
            return _("It is available as store credit in your customer account.")
    return ""


def reference_sentence(numbers: Sequence[str]) -> str:
    """Tell the customer what to ask their bank for; "" without numbers."""
    if not numbers:
        return ""
    return ngettext(
        "Your bank can find the refund under reference number %(numbers)s.",
        "Your bank can find the refund under reference numbers %(numbers)s.",
        len(numbers),
    ) % {"numbers": ", ".join(numbers)}


def sentences(shares: Sequence[Share], language: str) -> str:
    """Return the sentences for all ways of a refund, each with its sum if there are several."""
    if len(shares) == 1:
        return sentence(shares[0][0])
    parts = (
        _("%(sum)s: %(how)s") % {"sum": amount.format(language), "how": sentence(way)}
        for way, amount in shares
        if sentence(way)
    )
    return " ".join(parts)
