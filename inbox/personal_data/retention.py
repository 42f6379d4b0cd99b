"""How long the inbox keeps what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.db import models
from django.db.models import Exists, OuterRef

from inbox.contacts import identities
from inbox.models import (
    CampaignMessage,
    Contact,
    Conversation,
    CustomerView,
    Draft,
    Message,
    Participant,
    RequestNotice,
    WebhookDelivery,
    WebhookState,
)
from inbox.personal_data.holdings import CAMPAIGN_MESSAGES
from orders.models import Order
from orders.privacy.registry import (
    Rows,
)
from orders.privacy.retention import (
    CONTACT_CHECKS,
    Rule,
    register,
)


def _in_contact(orders: Sequence[Order], since: datetime) -> set[int]:
    contacts = identities.contacts_of_each(orders)
    recent = Conversation.objects.filter(
        last_message_at__gte=since, contact__in={pk for ids in contacts for pk in ids}
    )
    talking = set(recent.values_list("contact_id", flat=True))
    return {
        order.pk for order, ids in zip(orders, contacts, strict=True) if not talking.isdisjoint(ids)
    }


CONTACT_CHECKS.append(_in_contact)


def _talking(contacts: Sequence[Contact], cutoff: datetime) -> set[object]:
    """Return the IDs of the contacts who have a conversation or take part in one."""
    ids = [contact.pk for contact in contacts]
    found: set[object] = set()
    for model in (Conversation, Participant):
        rows = model._default_manager.filter(contact__in=ids)
        found.update(rows.values_list("contact_id", flat=True))
    return found


def _with_messages(conversations: Sequence[Conversation], cutoff: datetime) -> set[object]:
    rows = Message.objects.filter(conversation__in=[found.pk for found in conversations])
    return set(rows.values_list("conversation_id", flat=True))


def _delete(rows: Sequence[models.Model]) -> int:
    type(rows[0])._base_manager.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


def _delete_messages(rows: Sequence[Message]) -> int:
    """Delete messages, and the preview of each conversation that has none left to show."""
    done = _delete(rows)
    said = Message.objects.listed().filter(conversation=OuterRef("pk"))
    Conversation.objects.filter(
        ~Exists(said), pk__in={row.conversation_id for row in rows}
    ).exclude(last_message_preview="").update(last_message_preview="")
    return done


def _old_campaign_messages(cutoff: datetime) -> Rows:
    old = CampaignMessage.objects.filter(created_at__lt=cutoff)
    return old.exclude(recipient="", subject="", body="", error="")


_MONTHS: Final = "RETENTION_MESSAGES_MONTHS"
register(
    Rule(
        name="messages",
        setting=_MONTHS,
        due=lambda cutoff: Message.objects.filter(created_at__lt=cutoff),
        apply=_delete_messages,
        by="created_at",
    ),
    Rule(
        name="drafts",
        setting="RETENTION_DRAFT_DAYS",
        due=lambda cutoff: Draft.objects.filter(updated_at__lt=cutoff),
        apply=_delete,
    ),
    Rule(
        name="viewed customers",
        setting="RETENTION_VIEWS_DAYS",
        due=lambda cutoff: CustomerView.objects.filter(hour__lt=cutoff),
        apply=_delete,
        by="hour",
    ),
    Rule(
        name="campaign messages",
        setting=_MONTHS,
        due=_old_campaign_messages,
        apply=CAMPAIGN_MESSAGES.mask,
        by="created_at",
    ),
    Rule(
        name="notices of requests",
        setting=_MONTHS,
        due=lambda cutoff: RequestNotice.objects.filter(created_at__lt=cutoff),
        apply=_delete,
        by="created_at",
    ),
    Rule(
        name="webhooks sent",
        setting="RETENTION_WEBHOOK_LOG_DAYS",
        due=lambda cutoff: WebhookDelivery.objects.filter(created_at__lt=cutoff).exclude(
            state=WebhookState.PENDING
        ),
        apply=_delete,
        by="created_at",
    ),
    Rule(
        name="conversations",
        setting=_MONTHS,
        due=lambda cutoff: Conversation.objects.filter(last_message_at__lt=cutoff),
        apply=_delete,
        spared=_with_messages,
        by="last_message_at",
    ),
    Rule(
        name="contacts",
        setting=_MONTHS,
        due=lambda cutoff: Contact.objects.filter(created_at__lt=cutoff),
        apply=_delete,
        spared=_talking,
        by="created_at",
    ),
)
