"""Order events that send the customer a message, each once on each channel (rows F47, G12).

One action of an agent gives one message: of a cancelation with a refund, the cancelation waits
for its refund and tells of both.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from inbox import (
    access,
    audience,
    consent,
    lateness,
    live,
    marketing,
    outbox,
    reach,
    refund_words,
    services,
)
from inbox.audience import Person
from inbox.campaign_texts import (
    Facts,
    address_refusal,
    compose,
    facts_of,
    facts_of_event,
    language_of,
    parcel_refusal,
)
from inbox.channels import email
from inbox.models import (
    Campaign,
    CampaignMessage,
    CampaignTrigger,
    ChannelKind,
    Conversation,
    Message,
    MessageKind,
    SendState,
    Via,
)
from inbox.outbox import Draft
from inbox.refund_news import News, Stage, news_of
from orders.models import ActionKind, EventKind, Order, OrderEvent
from orders.previews import Proposal
from orders.services import mark_partial_dirty

_KINDS: Final = frozenset(CampaignTrigger.values)
# A cancelation whose refund is still under way is told of without it after this time.
_WAIT_FOR_REFUND: Final = timedelta(hours=1)
# A bank's answer is heard of with the order's next change; this is for one that was missed.
_ASK_BANK_AGAIN: Final = timedelta(minutes=2)


def handle_event(event_id: int) -> bool:
    """Write the messages an event asks for and mark it, in one transaction. May run twice.

    False: the event has to wait for the other half of its action, for its bank, or for the age
    from which on refunds of the shop's own staff are told of.
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
            if _must_wait(event, now) or _is_unsettled(event, now) or _is_young(event, now):
                return False
            if not _is_told_with_cancelation(event):
                if reason := _untold(event, now):
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
    shares = refund_words.of_proposal(proposal)
    facts = facts_of(order, kind, amount=proposal.amount, shares=shares)
    conversation = _conversation(order, origin)
    now = timezone.now()
    return [
        draft
        for campaign in Campaign.objects.on(kind)
        for draft in _drafts(
            campaign, order, conversation, facts,
            is_notified=proposal.notify, at=now, about_to=about_to,
        )
    ]  # fmt: skip


def _untold(event: OrderEvent, now: datetime) -> str:
    """Why nobody is told of an event; "" where it is news."""
    if event.kind == EventKind.REFUNDED and news_of(event).stage == Stage.FAILED:
        return _("The refund failed at the payment provider.")
    return lateness.refusal(event, now=now) or parcel_refusal(event)


def _is_unsettled(event: OrderEvent, now: datetime) -> bool:
    """Whether a refund's bank has not answered: then it is looked at again in a while, and as
    soon as the order changes."""
    if event.kind != EventKind.REFUNDED or news_of(event).stage != Stage.WAITING:
        return False
    again_at = now + _ASK_BANK_AGAIN
    if event.order.is_partial:
        mark_partial_dirty(Order.objects.filter(pk=event.order_id))
    OrderEvent.objects.filter(pk=event.pk).update(unsettled_at=now, announce_after=again_at)
    return True


def _is_young(event: OrderEvent, now: datetime) -> bool:
    """Whether a refund that staff made in Shopify's admin is not told of yet."""
    if event.kind != EventKind.REFUNDED or event.action_id is not None:
        return False
    waits = [campaign.staff_refund_wait_minutes for campaign in Campaign.objects.on(event.kind)]
    told_at = event.occurred_at + timedelta(minutes=max(waits, default=0))
    if told_at <= now:
        return False
    OrderEvent.objects.filter(pk=event.pk).update(announce_after=told_at)
    return True


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
    """The refund leg of a cancelation, as far as it is known; whatever its bank says."""
    if event.action_id is None:
        return None
    found = OrderEvent.objects.filter(action_id=event.action_id, kind=EventKind.REFUNDED)
    return found.select_related("order__store", "action").first()


def _told_refund(event: OrderEvent) -> News | None:
    """The refund that a cancelation's message tells of, too: one whose money has moved."""
    refund = _refund_of(event)
    news = news_of(refund) if refund else None
    return news if news and news.stage == Stage.MOVED else None


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
    if event.kind != EventKind.CANCELED:
        return False
    refund = _refund_of(event)
    if refund is None and not action.is_active:
        return False
    if refund is not None and news_of(refund).stage != Stage.WAITING:
        return False
    return now - event.recorded_at < _WAIT_FOR_REFUND


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
    if event.kind == EventKind.CANCELED and (told := _told_refund(event)):
        facts = facts_of(event.order, event.kind, amount=told.amount, shares=told.shares)
    conversation: Conversation | None = None
    is_looked_up = False
    for campaign in Campaign.objects.on(event.kind):
        if campaign.is_marketing:
            marketing.ask(campaign, event)
            continue
        if not is_looked_up:
            origin = event.action.origin if event.action else ""
            conversation, is_looked_up = _conversation(event.order, origin), True
        _write_campaign(campaign, event, conversation, facts, now)


def _write_campaign(
    campaign: Campaign,
    event: OrderEvent,
    conversation: Conversation | None,
    facts: Facts,
    now: datetime,
) -> None:
    drafts = _drafts(
        campaign, event.order, conversation, facts,
        is_notified=bool(event.action and event.action.notify), at=max(now, event.occurred_at),
    )  # fmt: skip
    too_small = _small_refund_refusal(campaign, event)
    for draft in drafts:
        row, is_new = CampaignMessage.objects.get_or_create(
            campaign=campaign,
            event=event,
            via=draft.via,
            defaults={
                "state": SendState.SKIPPED,
                "amount": facts.refund.amount if facts.refund else None,
                "reason": (too_small or draft.refusal)[:300],
            },
        )
        if not is_new or too_small or draft.refusal:
            continue
        is_said = draft.via == Via.CONVERSATION and conversation
        said = _say(conversation, draft.body) if is_said and conversation else None
        outbox.write_campaign(row, draft, now=now, message=said)


def _small_refund_refusal(campaign: Campaign, event: OrderEvent) -> str:
    """Why a refund that staff made in Shopify's admin is not told of: it is a trifle."""
    if event.kind != EventKind.REFUNDED or event.action_id is not None:
        return ""
    sum_ = news_of(event).in_shop or event.money
    if sum_ is None or sum_.amount >= campaign.staff_refund_minimum:
        return ""
    return _("Staff made it in Shopify, and it is below the campaign’s minimum.")


def _drafts(
    campaign: Campaign,
    order: Order,
    conversation: Conversation | None,
    facts: Facts,
    *,
    is_notified: bool,
    at: datetime,
    about_to: Collection[str] = (),
) -> list[Draft]:
    """One a channel, for the preview as for the messages themselves: one person is told once, in
    the conversation where that leaves, else by e-mail."""
    found: list[Draft] = []
    for via in campaign.channels:
        draft = _draft(
            campaign, via, order, conversation, facts,
            is_notified=is_notified, at=at, about_to=about_to,
        )  # fmt: skip
        is_told = any(other.via == Via.CONVERSATION and other.leaves for other in found)
        if via == Via.EMAIL and not draft.refusal and is_told:
            draft = Draft(via=via, refusal=_("The customer reads it in the conversation."))
        found.append(draft)
    return found


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
    if campaign.skip_when_shopify_notifies and is_notified:
        return Draft(via=via, refusal=_("Shopify notifies the customer itself."))
    recipient = consent.recipient_of(order, via)
    refusal = address_refusal(via, recipient, conversation) or audience.refusal(
        campaign, Person.of(order), at=at, order=order, about_to=about_to
    )
    if refusal:
        return Draft(via=via, refusal=refusal)
    draft = compose(campaign, via, recipient, facts, language_of(order, conversation))
    if via != Via.CONVERSATION or conversation is None or draft.refusal:
        return draft
    stays = reach.refusal(conversation)
    if conversation.channel.kind != ChannelKind.EMAIL:
        return replace(draft, stays=stays)
    address = reach.email_of(conversation, proven_only=True)
    subject = email.subject_of(conversation)
    return replace(draft, stays=stays, recipient=address, subject=subject)


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
    """Where the agent acted, else the customer's latest conversation: of contacts only of whom it
    is certain that the order is theirs."""
    contacts = access.certain_contacts(order)
    talks = Conversation.objects.select_related("contact", "channel").filter(contact__in=contacts)
    kind, _sep, pk = origin.partition(":")
    if kind == "conversation" and pk.isdigit() and (found := talks.filter(pk=int(pk)).first()):
        return found
    return talks.newest_first().first()
