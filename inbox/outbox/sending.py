"""Sending a claimed row through its channel."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from celery.exceptions import SoftTimeLimitExceeded
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _

from inbox.channels import SENDERS, email, sms
from inbox.channels.errors import NotSent
from inbox.models import CampaignMessage, Message, MessageKind, Via
from inbox.outbox import delivery_lanes, outcomes
from inbox.outbox.claiming import OF_CAMPAIGN, Claimed, claim
from inbox.outbox.delivery_lanes import Way
from inbox.suppression import (
    consent,
    opt_outs,
)
from orders.errors import ShopUnreachable

logger = logging.getLogger(__name__)


def deliver_message(message_id: int) -> Way | None:
    """Send a reply or confirmation, if no other worker has it and its route has room.

    Return the way it was sent by, which now has room for another; None if it wasn't tried.
    """
    return _deliver(Message, message_id, lambda row: SENDERS[row.channel.kind](row))


def deliver_campaign(row_id: int) -> Way | None:
    """Send a campaign's email or SMS, as `deliver_message` does."""
    return _deliver(CampaignMessage, row_id, lambda row: CARRIERS[row.via](row))


def _deliver(model: type[models.Model], pk: int, send: Callable[[Any], None]) -> Way | None:
    claimed = claim(model, pk, now=timezone.now())
    if claimed is None:
        return None
    try:
        _send(send, claimed)
    except NotSent as error:
        outcomes.failed(claimed, error)
    else:
        outcomes.sent(claimed)
    return delivery_lanes.way_of(claimed.route)


def _send(send: Callable[[Any], None], claimed: Claimed) -> None:
    """Send the row. Turns any exception of a provider or mail library into NotSent, so that every
    attempt has a recorded end."""
    row = claimed.row
    try:
        if isinstance(row, CampaignMessage):
            _check(row)
        else:
            # A pending message has `handled_at` only if an agent sent it again.
            _check(_campaign_row(row), by_hand=row.handled_at is not None)
        send(row)
    except (NotSent, SoftTimeLimitExceeded):
        raise
    except Exception as error:
        logger.exception("%s %s was not sent", row._meta.label, row.pk)
        # Unknown whether it reached the other side, so the route learns nothing from it.
        raise NotSent(f"It failed: {type(error).__name__}.", was_tried=False) from error


def _check(row: CampaignMessage | None, *, by_hand: bool = False) -> None:
    """Raise NotSent if a message should no longer go out. Checked before each attempt, because a
    customer may unsubscribe during an outage."""
    if row is None:
        return
    try:
        reason = consent.leaving_refusal(row, by_hand=by_hand)
    except ShopUnreachable as error:
        raise NotSent(
            _("The customer’s consent couldn’t be checked with Shopify."), was_tried=False
        ) from error
    if reason:
        raise NotSent(reason, is_final=True, was_tried=False)


def _campaign_row(message: Message) -> CampaignMessage | None:
    """Return the campaign row that a confirmation was written for; None for other messages."""
    if message.kind != MessageKind.CONFIRMATION:
        return None
    rows = CampaignMessage.objects.select_related(*OF_CAMPAIGN)
    return rows.filter(message=message).first()


def _send_mail(row: CampaignMessage) -> None:
    headers = opt_outs.headers(row.recipient) if row.campaign.is_marketing else {}
    email.send_mail(
        to=row.recipient,
        subject=row.subject,
        text=row.body,
        message_id=f"campaign-{row.pk}",
        headers=headers,
    )


def _send_text(row: CampaignMessage) -> None:
    sms.send_text(to=row.recipient, text=row.body, message_id=f"campaign-{row.pk}")


# Channels that deliver from the campaign's own row; in a conversation, its Message is delivered.
CARRIERS: Final[dict[str, Callable[[CampaignMessage], None]]] = {
    Via.EMAIL: _send_mail,
    Via.SMS: _send_text,
}
