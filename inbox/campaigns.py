"""Order events that send the customer a message, each once on each channel (rows F47, G12).

One action of an agent gives one message: of a cancelation with a refund, the cancelation waits
for its refund and tells of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from inbox import identities, live, outbox, placeholders, services
from inbox.models import (
    Campaign,
    CampaignMessage,
    Contact,
    Conversation,
    DeliveryState,
    Message,
    MessageKind,
    SendState,
    Via,
)
from orders.models import ActionKind, ActionState, EventKind, Order, OrderEvent
from orders.money import Money
from orders.previews import Proposal

_KINDS: Final = (EventKind.CANCELED, EventKind.REFUNDED)
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
        if event.kind in _KINDS and not _is_told_with_cancelation(event):
            if _must_wait(event, now):
                return False
            _write(event)
        OrderEvent.objects.filter(pk=event.pk).update(announced_at=now)
    return True


def preview_messages(
    *, order: Order, proposal: Proposal, conversation: Conversation
) -> list[tuple[str, str, str]]:
    """(channel, subject, body) of what a confirmation would send, exactly."""
    kind = EventKind.REFUNDED if proposal.kind == ActionKind.REFUND else EventKind.CANCELED
    language = conversation.contact.language
    values = _values(order, proposal.amount, language)
    found = []
    for campaign in Campaign.objects.filter(is_active=True, event_kind=kind):
        if campaign.skip_when_shopify_notifies and proposal.notify:
            continue
        subject, body = _texts(campaign, values, language)
        found += [(str(via.label), subject, body) for via in campaign.channels]
    if proposal.notify:
        found.append((_("Shopify’s own e-mail"), "", _("Shopify sends its notification.")))
    return found


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
        return Campaign.objects.filter(is_active=True, event_kind=EventKind.CANCELED).exists()
    return CampaignMessage.objects.filter(event=canceled, amount__isnull=False).exists()


def _refund_of(event: OrderEvent) -> OrderEvent | None:
    if event.action_id is None:
        return None
    return OrderEvent.objects.filter(action_id=event.action_id, kind=EventKind.REFUNDED).first()


def _must_wait(event: OrderEvent, now: datetime) -> bool:
    action = event.action
    if event.kind != EventKind.CANCELED or action is None:
        return False
    if action.kind != ActionKind.CANCEL_AND_REFUND or _refund_of(event) is not None:
        return False
    ended = action.state in {ActionState.SUCCEEDED, ActionState.PARTIAL, ActionState.REJECTED}
    return not ended and now - event.recorded_at < _WAIT_FOR_REFUND


def _write(event: OrderEvent) -> None:
    order = event.order
    conversation = _conversation(event)
    amount = event.money if event.kind == EventKind.REFUNDED else None
    if (told := _refund_of(event)) and event.kind == EventKind.CANCELED:
        amount = told.money
    language = conversation.contact.language if conversation else ""
    language = language or (order.snapshot.customer.locale if order.snapshot.customer else "")
    values = _values(order, amount, language)
    for campaign in Campaign.objects.filter(is_active=True, event_kind=event.kind):
        for via in campaign.channels:
            _write_one(campaign, via, event, conversation, values, language, amount)


def _write_one(
    campaign: Campaign,
    via: Via,
    event: OrderEvent,
    conversation: Conversation | None,
    values: Mapping[str, str],
    language: str,
    amount: Money | None,
) -> None:
    row, is_new = CampaignMessage.objects.get_or_create(
        campaign=campaign,
        event=event,
        via=via,
        defaults={
            "state": SendState.SKIPPED,
            "amount": amount.amount if amount else None,
        },
    )
    if not is_new:
        return
    if reason := _why_not(campaign, via, event, conversation):
        CampaignMessage.objects.filter(pk=row.pk).update(reason=reason)
        return
    try:
        row.subject, row.body = _texts(campaign, values, language)
    except placeholders.MissingValue as error:
        CampaignMessage.objects.filter(pk=row.pk).update(reason=str(error))
        return
    row.state = SendState.WRITTEN
    if via == Via.EMAIL:
        row.recipient, row.delivery_state = event.order.email, DeliveryState.PENDING
        outbox.wake_mail(row)
    elif conversation is not None:
        row.message = _say(conversation, row.body)
    row.save(update_fields=["subject", "body", "state", "recipient", "delivery_state", "message"])


def _why_not(
    campaign: Campaign, via: Via, event: OrderEvent, conversation: Conversation | None
) -> str:
    if campaign.skip_when_shopify_notifies and event.action and event.action.notify:
        return _("Shopify notifies the customer itself.")
    if via == Via.EMAIL and not event.order.email:
        return _("The order has no e-mail address.")
    if via == Via.CONVERSATION and conversation is None:
        return _("The customer has no conversation.")
    return ""


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


def _conversation(event: OrderEvent) -> Conversation | None:
    """Where the agent acted, else the customer's latest conversation."""
    origin = event.action.origin if event.action else ""
    if origin.startswith("conversation:"):
        found = Conversation.objects.filter(pk=origin.partition(":")[2]).first()
        if found is not None:
            return found
    contacts = Contact.objects.filter(pk__in=identities.contacts_of(event.order))
    return Conversation.objects.filter(contact__in=contacts).newest_first().first()


def _texts(campaign: Campaign, values: Mapping[str, str], language: str) -> tuple[str, str]:
    text: Campaign | object = campaign
    if language:
        short = language.replace("_", "-").split("-")[0].lower()
        text = campaign.translations.filter(language__in=[language, short]).first() or campaign
    subject, body = getattr(text, "subject", ""), getattr(text, "body", "")
    return placeholders.fill(subject, values), placeholders.fill(body, values).strip()


def _values(order: Order, amount: Money | None, language: str) -> dict[str, str]:
    customer = order.snapshot.customer
    address = order.snapshot.shipping_address
    name = customer.name if customer else (address.name if address else "")
    sum_text = amount.format(language or None) if amount else ""
    with override(language or None):
        refund = _("We are refunding %(sum)s.") % {"sum": sum_text} if amount else ""
    return {
        "order.number": order.name,
        "customer.name": name,
        "customer.first_name": name.split()[0] if name.split() else "",
        "amount": sum_text,
        "refund_sentence": refund,
        "store.name": str(order.store),
    }
