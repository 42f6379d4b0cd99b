"""What changed in an order since the customer last wrote and since an agent last replied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from django.db.models import Max, Q

from inbox.models import Conversation, MessageKind
from orders.panels import OrderCard
from orders.versions.time_travel import (
    Moment,
    changes_since,
)


def moments_of(conversation: Conversation) -> dict[Moment, datetime]:
    """Return when the customer last wrote and an agent last replied, omitting what never happened.
    One query."""
    times = conversation.messages.aggregate(
        wrote=Max("created_at", filter=Q(kind=MessageKind.INBOUND)),
        replied=Max("created_at", filter=Q(kind=MessageKind.REPLY)),
    )
    pairs = {Moment.CUSTOMER_WROTE: times["wrote"], Moment.AGENT_REPLIED: times["replied"]}
    return {moment: at for moment, at in pairs.items() if at}


def cards_with_changes(
    cards: Sequence[OrderCard], conversation: Conversation
) -> tuple[OrderCard, ...]:
    """Add to each card what changed since those moments. Two queries."""
    found = changes_since([card.id for card in cards], moments_of(conversation))
    return tuple(replace(card, changes=found.get(card.id, ())) for card in cards)
