"""Order events that send the customer a message, each once on each channel (rows F47, G12).

One action of an agent gives one message: of a cancelation with a refund, the cancelation waits
for its refund and tells of both.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from inbox import audience, identities, lateness, live, marketing, outbox, services
from inbox.audience import Person
from inbox.campaign_texts import (
    Facts,
    address_refusal,
    compose,
    facts_of,
    facts_of_event,
    language_of,
    recipient_of,
)
from inbox.models import (
    Campaign,
    CampaignMessage,
    CampaignTrigger,
    Contact,
    Conversation,
    Message,
    MessageKind,
    SendState,
    Via,
)
from inbox.outbox import Draft
from orders.models import ActionKind, EventKind, Order, OrderEvent
from orders.previews import Proposal

_KINDS: Final = frozenset(CampaignTrigger.values)
# A cancelation whose refund is still under way is told of without it after this time.
_WAIT_FOR_REFUND: Final = timedelta(hours=1)


def handle_event(event_id: int) -> bool:
    """Write the messages an event asks for and mark it, in one transaction. May run twice.

    False: the event has to wait for the other half of its action.
    """
    now = timezone.now()
    with transaction.atomic(durable=True):
        event = (
            OrderEvent.objects.select_for_update(of=("self",))
            .select_related("order__store", "action")
            .filter(pk=event_id, announced_at=None)
            .first()
        )
        if event is None:
            return True
        if event.kind in _KINDS:
            if _must_wait(event, now):
                return False
            if not _is_told_with_cancelation(event):
                if reason := lateness.refusal(event, now=now):
                    _leave_out(event, reason)
                else:
                    _write(event, now)
        OrderEvent.objects.filter(pk=event.pk).update(announced_at=now)
    return True


def preview_messages(*, order: Order, proposal: Proposal, origin: str) -> list[Draft]:
    """What a confirmation would send on each channel, exactly, and what it would not and why.

    `origin`: where the agent acts, as OrderAction.origin.
    """
    kind = EventKind.REFUNDED if proposal.kind == ActionKind.REFUND else EventKind.CANCELED
    about_to = {kind, EventKind.REFUNDED} if proposal.amount else {kind}
    facts = facts_of(order, kind, amount=proposal.amount)
    conversation = _conversation(order, origin)
    now = timezone.now()
    return [
        _draft(
            campaign, via, order, conversation, facts,
            is_notified=proposal.notify, at=now, about_to=about_to,
        )
        for campaign in Campaign.objects.on(kind)
        for via in campaign.channels
    ]  # fmt: skip


def _is_told_with_cancelation(event: OrderEvent) -> bool:
    """The refund leg of a cancel-and-refund, whose sum the cancelation's message names.

    Not where that message left without it (the refund came hours later), or nothing is sent of
    cancelations at all: then the refund has its own.
    """
    action = event.action
    if event.kind != EventKind.REFUNDED or action is None:
        return False
    if action.kind != ActionKind.CANCEL_AND_REFUND:
        return False
    # Locked: it must not be written without the sum while we count on it.
    canceled = (
        OrderEvent.objects.select_for_update()
        .filter(action=action, kind=EventKind.CANCELED)
        .first()
    )
    if canceled is None or canceled.announced_at is None:
        return Campaign.objects.on(EventKind.CANCELED).exists()
    # Written, not only considered: whom the cancelation's campaign leaves out is told by this one.
    told = CampaignMessage.objects.filter(event=canceled, state=SendState.WRITTEN)
    return told.filter(amount__isnull=False).exists()


def _refund_of(event: OrderEvent) -> OrderEvent | None:
    if event.action_id is None:
        return None
    return OrderEvent.objects.filter(action_id=event.action_id, kind=EventKind.REFUNDED).first()


def _must_wait(event: OrderEvent, now: datetime) -> bool:
    """A cancelation for its refund, whose sum it names; and that refund for what became of the
    cancelation's message, which may not have been for this customer."""
    action = event.action
    if action is None or action.kind != ActionKind.CANCEL_AND_REFUND:
        return False
    if event.kind == EventKind.REFUNDED:
        canceled = OrderEvent.objects.filter(action=action, kind=EventKind.CANCELED)
        is_undecided = canceled.filter(announced_at=None).exists()
        return is_undecided and now - event.recorded_at < _WAIT_FOR_REFUND
    if event.kind != EventKind.CANCELED or _refund_of(event) is not None:
        return False
    return action.is_active and now - event.recorded_at < _WAIT_FOR_REFUND


def _leave_out(event: OrderEvent, reason: str) -> None:
    """Say on each campaign's rows why nothing was sent."""
    for campaign in Campaign.objects.on(event.kind):
        for via in campaign.channels:
            CampaignMessage.objects.get_or_create(
                campaign=campaign,
                event=event,
                via=via,
                defaults={"state": SendState.SKIPPED, "reason": reason[:300]},
            )


def _write(event: OrderEvent, now: datetime) -> None:
    facts = facts_of_event(event)
    if event.kind == EventKind.CANCELED and (told := _refund_of(event)):
        facts = facts_of(event.order, event.kind, amount=told.money)
    conversation: Conversation | None = None
    is_looked_up = False
    for campaign in Campaign.objects.on(event.kind):
        if campaign.is_marketing:
            marketing.ask(campaign, event)
            continue
        if not is_looked_up:
            origin = event.action.origin if event.action else ""
            conversation, is_looked_up = _conversation(event.order, origin), True
        for via in campaign.channels:
            _write_one(campaign, via, event, conversation, facts, now)


def _write_one(
    campaign: Campaign,
    via: Via,
    event: OrderEvent,
    conversation: Conversation | None,
    facts: Facts,
    now: datetime,
) -> None:
    row, is_new = CampaignMessage.objects.get_or_create(
        campaign=campaign,
        event=event,
        via=via,
        defaults={
            "state": SendState.SKIPPED,
            "amount": facts.refund.amount if facts.refund else None,
        },
    )
    if not is_new:
        return
    is_notified = bool(event.action and event.action.notify)
    at = max(now, event.occurred_at)
    draft = _draft(campaign, via, event.order, conversation, facts, is_notified=is_notified, at=at)
    if draft.refusal:
        CampaignMessage.objects.filter(pk=row.pk).update(reason=draft.refusal[:300])
        return
    said = _say(conversation, draft.body) if via == Via.CONVERSATION and conversation else None
    outbox.write_campaign(row, draft, now=now, message=said)


def _draft(
    campaign: Campaign,
    via: Via,
    order: Order,
    conversation: Conversation | None,
    facts: Facts,
    *,
    is_notified: bool,
    at: datetime,
    about_to: Collection[str] = (),
) -> Draft:
    """The one way to a transactional message, for the preview as for the message itself."""
    if campaign.skip_when_shopify_notifies and is_notified:
        return Draft(via=via, refusal=_("Shopify notifies the customer itself."))
    recipient = recipient_of(order, via)
    refusal = address_refusal(via, recipient, conversation) or audience.refusal(
        campaign, Person.of(order), at=at, order=order, about_to=about_to
    )
    if refusal:
        return Draft(via=via, refusal=refusal)
    return compose(campaign, via, recipient, facts, language_of(order, conversation))


def _say(conversation: Conversation, text: str) -> Message:
    message = Message.objects.create(
        conversation=conversation,
        channel=conversation.channel,
        kind=MessageKind.CONFIRMATION,
        text=text,
        delivery_state=services.delivery_state(conversation.channel),
    )
    outbox.wake(message)
    live.announce(f"conversation:{conversation.pk}")
    return message


def _conversation(order: Order, origin: str) -> Conversation | None:
    """Where the agent acted, else the customer's latest conversation."""
    talks = Conversation.objects.select_related("contact", "channel")
    if origin.startswith("conversation:"):
        found = talks.filter(pk=origin.partition(":")[2]).first()
        if found is not None:
            return found
    contacts = Contact.objects.filter(pk__in=identities.contacts_of(order))
    return talks.filter(contact__in=contacts).newest_first().first()
