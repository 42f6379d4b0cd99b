"""Write the messages an order event sends to the customer, once on each channel.

One action by an agent makes one message: in a cancellation with a refund, the cancellation's
message waits for the refund and reports both.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from inbox import (
    access,
    outbox,
)
from inbox.campaigns import (
    audience,
    late_tracking,
    marketing,
)
from inbox.campaigns.audience import Person
from inbox.campaigns.texts import (
    Facts,
    address_refusal,
    compose,
    facts_of,
    facts_of_event,
    language_of,
)
from inbox.channels import (
    email,
    recipients,
)
from inbox.conversations import services
from inbox.live import events
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
from inbox.models.conversations import conversation_id
from inbox.outbox import Draft
from inbox.suppression import (
    consent,
    lateness,
)
from inbox.suppression import (
    relevance as news,
)
from inbox.suppression.refund_outcome import (
    News,
    Stage,
    news_of,
)
from inbox.texts import refunds
from orders.models import ActionKind, EventKind, Order, OrderEvent
from orders.previews import Proposal
from orders.services import mark_partial_dirty

_KINDS: Final = frozenset(CampaignTrigger.values)
# After this time, a cancellation is announced without its refund if that is still under way.
_WAIT_FOR_REFUND: Final = timedelta(hours=1)
# The order's next change brings the bank's answer; this catches one that was missed.
_ASK_BANK_AGAIN: Final = timedelta(minutes=2)


def handle_event(event_id: int) -> bool:
    """Write an event's messages and mark it as announced, in one transaction. Safe to run twice.

    Returns False if the event has to wait: for the other half of its action, for the bank, for the
    delay on refunds that staff made in Shopify, or for a tracking number.
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
            # An event that was too old when first looked at waits for nothing. A refund that was
            # seen pending at its bank may go on waiting.
            is_history = event.unsettled_at is None and lateness.refusal(event, now=now)
            if not is_history and _has_to_wait(event, now):
                return False
            if not _is_covered_by_cancellation(event) and not _write(event, now):
                return False
        OrderEvent.objects.filter(pk=event.pk).update(announced_at=now)
    return True


def preview_messages(*, order: Order, proposal: Proposal, origin: str) -> list[Draft]:
    """Preview exactly what confirming an action would send on each channel, or why it wouldn't.

    `origin` says where the agent acts, in the format of OrderAction.origin.
    """
    kind = EventKind.REFUNDED if proposal.kind == ActionKind.REFUND else EventKind.CANCELED
    about_to = {kind, EventKind.REFUNDED} if proposal.amount else {kind}
    shares = refunds.of_proposal(proposal)
    facts = facts_of(order, kind, amount=proposal.amount, shares=shares)
    conversation = _conversation(order, origin)
    now = timezone.now()
    return [
        draft
        for campaign in Campaign.objects.on(kind)
        for draft in _drafts(
            campaign,
            order,
            conversation,
            facts,
            is_notified=proposal.notify,
            audience_refusal=audience.refusal(
                campaign, Person.of(order), at=now, order=order, about_to=about_to
            ),
        )
    ]


def _has_to_wait(event: OrderEvent, now: datetime) -> bool:
    return (
        _must_wait(event, now) or _waits_for_bank(event, now) or _waits_for_staff_delay(event, now)
    )


def _waits_for_bank(event: OrderEvent, now: datetime) -> bool:
    """Return whether a refund's bank hasn't answered, and if so schedule another look.

    It is also looked at again as soon as the order changes.
    """
    if event.kind != EventKind.REFUNDED or news_of(event).stage != Stage.WAITING:
        return False
    found = OrderEvent.objects.filter(pk=event.pk)
    if event.order.is_partial:
        # The bank may have answered long ago, but the rest of the order hasn't been read yet.
        mark_partial_dirty(Order.objects.filter(pk=event.order_id))
    else:
        found.update(unsettled_at=now)
    found.update(announce_after=now + _ASK_BANK_AGAIN)
    return True


def _waits_for_staff_delay(event: OrderEvent, now: datetime) -> bool:
    """Return whether a refund that staff made in Shopify is still within the campaigns' delay.

    If so, schedule it for the end of that delay.
    """
    if event.kind != EventKind.REFUNDED or event.action_id is not None:
        return False
    waits = [campaign.staff_refund_wait_minutes for campaign in Campaign.objects.on(event.kind)]
    due_at = event.occurred_at + timedelta(minutes=max(waits, default=0))
    if due_at <= now:
        return False
    OrderEvent.objects.filter(pk=event.pk).update(announce_after=due_at)
    return True


def _is_covered_by_cancellation(event: OrderEvent) -> bool:
    """Return whether this is a cancel-and-refund's refund that the cancellation's message covers.

    It isn't if that message was written without the refund, which came hours later, or if no
    campaign is about cancellations. Then the refund gets its own message.
    """
    action = event.action
    if event.kind != EventKind.REFUNDED or action is None:
        return False
    if action.kind != ActionKind.CANCEL_AND_REFUND:
        return False
    # Locked, so that its message isn't written without the sum while we rely on it.
    canceled = (
        OrderEvent.objects.select_for_update()
        .filter(action=action, kind=EventKind.CANCELED)
        .first()
    )
    if canceled is None or canceled.announced_at is None:
        return Campaign.objects.on(EventKind.CANCELED).exists()
    # It must have been written, not just considered: a customer outside the audience of the
    # cancellation's campaign gets the refund's message instead.
    written = CampaignMessage.objects.filter(event=canceled, state=SendState.WRITTEN)
    return written.filter(amount__isnull=False).exists()


def _refund_of(event: OrderEvent) -> OrderEvent | None:
    """Return the refund event of a cancellation, if known, whatever its bank says."""
    if event.action_id is None:
        return None
    found = OrderEvent.objects.filter(action_id=event.action_id, kind=EventKind.REFUNDED)
    return found.select_related("order__store", "action").first()


def _moved_refund(event: OrderEvent) -> News | None:
    """Return the refund to report in a cancellation's message: only one whose money has moved."""
    refund = _refund_of(event)
    news = news_of(refund) if refund else None
    return news if news and news.stage == Stage.MOVED else None


def _must_wait(event: OrderEvent, now: datetime) -> bool:
    """Return whether one half of a cancel-and-refund waits for the other.

    The cancellation waits for its refund, whose sum it states. The refund waits until the
    cancellation's message is decided, because the customer may be outside its audience.
    """
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


def _write(event: OrderEvent, now: datetime) -> bool:
    """Decide the messages of all campaigns; False if one waits for a tracking number."""
    facts = facts_of_event(event)
    if event.kind == EventKind.CANCELED and (moved := _moved_refund(event)):
        facts = facts_of(event.order, event.kind, amount=moved.amount, shares=moved.shares)
    conversation: Conversation | None = None
    is_looked_up, is_over = False, True
    for campaign in Campaign.objects.on(event.kind):
        if reason := news.event_refusal(campaign, event, now=now):
            _leave_out(campaign, event, reason, facts, now)
            continue
        if campaign.is_marketing:
            marketing.ask(campaign, event)
            continue
        if not is_looked_up:
            origin = event.action.origin if event.action else ""
            conversation, is_looked_up = _conversation(event.order, origin), True
        is_over &= _write_campaign(campaign, event, conversation, facts, now)
    if is_over:
        late_tracking.end(event)
    else:
        late_tracking.put_off(event, now=now)
    return is_over


def _leave_out(
    campaign: Campaign, event: OrderEvent, reason: str, facts: Facts, now: datetime
) -> None:
    """Record on a campaign's rows why nothing was sent."""
    for via in campaign.channels:
        row, is_new = _row(campaign, event, via, facts)
        if is_new:
            _skip(row, reason)
        elif row.state == SendState.WAITING and not campaign.is_marketing:
            is_late = lateness.refusal(event, now=now)
            _skip(row, late_tracking.never_came() if is_late else reason)


def _write_campaign(
    campaign: Campaign,
    event: OrderEvent,
    conversation: Conversation | None,
    facts: Facts,
    now: datetime,
) -> bool:
    """Write one campaign's messages; False if one waits for a tracking number."""
    drafts = _drafts(
        campaign,
        event.order,
        conversation,
        facts,
        is_notified=bool(event.action and event.action.notify),
        audience_refusal=audience.event_refusal(campaign, event),
    )
    is_over = True
    for draft in drafts:
        row, is_new = _row(campaign, event, draft.via, facts)
        if not is_new and row.state != SendState.WAITING:
            continue
        if late_tracking.may_come(draft, event):
            late_tracking.keep_waiting(row)
            is_over = False
        elif draft.refusal:
            _skip(row, draft.refusal)
        else:
            is_posted = draft.via == Via.CONVERSATION and conversation
            posted = (
                _post_confirmation(conversation, draft.body) if is_posted and conversation else None
            )
            outbox.write_campaign(row, draft, now=now, message=posted)
    return is_over


def _row(
    campaign: Campaign, event: OrderEvent, via: Via, facts: Facts
) -> tuple[CampaignMessage, bool]:
    amount = facts.refund.amount if facts.refund else None
    return CampaignMessage.objects.get_or_create(
        campaign=campaign,
        event=event,
        via=via,
        defaults={"state": SendState.SKIPPED, "amount": amount},
    )


def _skip(row: CampaignMessage, reason: str) -> None:
    row.state, row.reason = SendState.SKIPPED, reason[:300]
    row.save(update_fields=["state", "reason"])


def _drafts(
    campaign: Campaign,
    order: Order,
    conversation: Conversation | None,
    facts: Facts,
    *,
    is_notified: bool,
    audience_refusal: str,
) -> list[Draft]:
    """Compose one draft per channel, for the preview and for the messages themselves.

    A customer gets it once: in the conversation if it leaves from there, else by email.
    `audience_refusal`: why the customer isn't in the campaign's audience, or "".
    """
    found: list[Draft] = []
    for via in campaign.channels:
        draft = _draft(
            campaign,
            via,
            order,
            conversation,
            facts,
            is_notified=is_notified,
            audience_refusal=audience_refusal,
        )
        is_in_conversation = any(other.via == Via.CONVERSATION and other.leaves for other in found)
        if via == Via.EMAIL and not draft.refusal and is_in_conversation:
            draft = Draft(via=via, refusal=_("The customer gets it in the conversation."))
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
    audience_refusal: str,
) -> Draft:
    if campaign.skip_when_shopify_notifies and is_notified:
        return Draft(via=via, refusal=_("Shopify notifies the customer."))
    recipient = consent.recipient_of(order, via)
    if refusal := address_refusal(via, recipient, conversation) or audience_refusal:
        return Draft(via=via, refusal=refusal)
    draft = compose(campaign, via, recipient, facts, language_of(order, conversation))
    if via != Via.CONVERSATION or conversation is None or draft.refusal:
        return draft
    stays = recipients.refusal(conversation)
    if conversation.channel.kind != ChannelKind.EMAIL:
        return replace(draft, stays=stays)
    address = recipients.email_of(conversation, proven_only=True)
    subject = email.subject_of(conversation)
    return replace(draft, stays=stays, recipient=address, subject=subject)


def _post_confirmation(conversation: Conversation, text: str) -> Message:
    message = Message.objects.create(
        conversation=conversation,
        channel=conversation.channel,
        kind=MessageKind.CONFIRMATION,
        recipient=recipients.news_recipient(conversation),
        text=text,
        delivery_state=services.delivery_state(conversation.channel),
    )
    outbox.wake(message)
    events.announce(f"conversation:{conversation.pk}")
    return message


def _conversation(order: Order, origin: str) -> Conversation | None:
    """Return the conversation the agent acted from, or else the customer's latest one.

    Only contacts who certainly own the order are considered.
    """
    contacts = access.certain_contacts(order)
    talks = Conversation.objects.select_related("contact", "channel").filter(contact__in=contacts)
    pk = conversation_id(origin)
    if pk is not None and (found := talks.filter(pk=pk).first()):
        return found
    return talks.newest_first().first()
