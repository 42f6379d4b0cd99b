"""How a refund reaches the customer: a sentence that is true of the way it goes.

The review and the message both come from here: the one knows the ways from the proposal, the
other from what Shopify shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from django.utils.translation import gettext as _

from orders.money import Money
from orders.previews import Proposal
from orders.snapshot import OrderSnapshot, Refund
from orders.statuses.transactions import has_moved


class Way(StrEnum):
    """In the order in which a message names them."""

    CARD = "card"
    BANK = "bank"
    CASH = "cash"
    GIFT_CARD = "gift_card"
    STORE_CREDIT = "store_credit"
    # Booked by hand, by a payment method that the shop named itself: nobody knows how.
    BY_HAND = "by_hand"


Share = tuple[Way, Money]
# Shopify's names of gateways, without case and punctuation. A shop names its own methods as it
# likes; these are the ones Shopify offers.
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
    words = " ".join(re.findall(r"\w+", gateway.lower().replace("_", " ")))
    return _WAYS.get(words, Way.BY_HAND if is_manual else Way.CARD)


def of_proposal(proposal: Proposal) -> tuple[Share, ...]:
    return _summed(
        (way_of(target.gateway, is_manual=target.is_manual), target.amount)
        for target in proposal.targets
    )


def of_refund(refund: Refund, snapshot: OrderSnapshot) -> tuple[Share, ...]:
    """Of what has moved, as Shopify lists it."""
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
            # Sums of several currencies cannot be told in one sentence.
            return ()
    return tuple((way, sums[way]) for way in Way if sums.get(way))


def sentence(way: Way) -> str:
    """In the active language; "" where nothing true is known."""
    match way:
        case Way.CARD:
            return _("Depending on your bank it arrives within ten days.")
        case Way.BANK:
            return _("We return it by bank transfer.")
        case Way.CASH:
            return _("You paid in cash, so we will arrange with you how you get it back.")
        case Way.GIFT_CARD:
            return _("It is back on the gift card you paid with.")
        case Way.STORE_CREDIT:
            return _("You have it as store credit in your customer account.")
    return ""


def sentences(shares: Sequence[Share], language: str) -> str:
    """For all ways of a refund; with its sum before each where there are several."""
    if len(shares) == 1:
        return sentence(shares[0][0])
    words = (
        _("%(sum)s: %(how)s") % {"sum": amount.format(language), "how": sentence(way)}
        for way, amount in shares
        if sentence(way)
    )
    return " ".join(words)
