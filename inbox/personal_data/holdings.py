"""What personal data the inbox holds, and how each column is masked."""

from __future__ import annotations

from typing import Final

from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import F, Q

from inbox.models import (
    ApiToken,
    CampaignMessage,
    Claim,
    Contact,
    Conversation,
    DeliveryState,
    Draft,
    Identity,
    Message,
    Participant,
    SendState,
)
from inbox.personal_data.data_subjects import OWN, SHARED, is_claimed, is_here, is_only_here, phones
from orders.models import Checkout
from orders.privacy.own_columns import CHECKOUT_HOLDING
from orders.privacy.registry import (
    REGISTRY,
    Holding,
    Kind,
    Mask,
    Rows,
    Scope,
    Whose,
)

REMOVED: Final = "[removed]"


def _own_log(scope: Scope) -> Rows:
    """Return the admin's log entries of their contacts; the log repeats names that were edited."""
    ids = scope.ids(OWN)
    conversations = Conversation.objects.filter(contact__in=ids).values_list("pk", flat=True)
    types = ContentType.objects.get_for_models(Contact, Conversation)
    return LogEntry.objects.filter(
        Q(content_type=types[Contact], object_id__in=[str(pk) for pk in ids])
        | Q(content_type=types[Conversation], object_id__in=[str(pk) for pk in conversations])
    )


def _cancel_campaign_messages(rows: Rows) -> None:
    rows.filter(state=SendState.WAITING).update(
        state=SendState.SKIPPED,
        next_attempt_at=None,
        reason="Removed for privacy before it was sent.",
    )
    _cancel_delivery(rows)


def _cancel_delivery(rows: Rows) -> None:
    rows.filter(delivery_state=DeliveryState.PENDING).update(
        delivery_state=DeliveryState.FAILED,
        next_attempt_at=None,
        error="Removed for privacy before it was sent.",
    )


_PARTICIPANT_FIELDS: Final = {
    "external_id": Mask(Kind.ACCOUNT, rewrite=lambda found: f"redacted:{found.pk}"),
    "name": Mask(Kind.NAME),
    "address": Mask(Kind.ACCOUNT),
}


def _is_address_only_here(participant: Participant, scope: Scope) -> bool:
    same = participant.contact.identities.filter(value=participant.address)
    return any(is_only_here(identity, scope) for identity in same)


def _sent_to_participants(scope: Scope) -> Rows:
    """Return replies to the data subject in other contacts' conversations."""
    to = (
        Q(recipient=F("conversation__participants__address"))
        | Q(recipient=F("conversation__participants__external_id"))
        | Q(recipient__in=[*scope.emails, *phones(scope)])
    )
    found = Message.objects.filter(
        to, conversation__participants__contact__in=scope.ids(OWN)
    ).exclude(recipient="")
    return found.distinct()


def _quotes_them(conversation: Conversation, scope: Scope) -> bool:
    """Return whether the conversation's preview quotes the data subject or a reply to them.

    Once the last message is masked it no longer says who wrote it, so then any preview counts.
    """
    shown = conversation.messages.listed().select_related("sender")
    last = shown.order_by("-created_at", "-pk").first()
    if last is None or last.text == REMOVED:
        return bool(conversation.last_message_preview)
    is_theirs = last.sender is not None and last.sender.contact_id in scope.ids(OWN)
    return is_theirs or _sent_to_participants(scope).filter(pk=last.pk).exists()


_MESSAGE_FIELDS: Final = {
    "text": Mask(Kind.TEXT, value=REMOVED),
    "attachments": Mask(Kind.TEXT, value=[]),
    "recipient": Mask(Kind.ACCOUNT),
    "external_id": Mask(Kind.ACCOUNT),
    # A mail server's refusal quotes the address.
    "error": Mask(Kind.TEXT),
}


def _checkouts(scope: Scope) -> Rows:
    """Return the data subject's checkouts, by the same rule the orders app uses."""
    if CHECKOUT_HOLDING.of is None:
        return Checkout.objects.none()
    return CHECKOUT_HOLDING.of(scope)


CAMPAIGN_MESSAGES = Holding(
    model=CampaignMessage,
    whose=Whose.CUSTOMER,
    of=lambda scope: CampaignMessage.objects.filter(
        Q(event__order__in=scope.orders()) | Q(checkout__in=_checkouts(scope))
    ),
    then=_cancel_campaign_messages,
    fields={
        "recipient": Mask(Kind.EMAIL),
        "subject": Mask(Kind.TEXT),
        "body": Mask(Kind.TEXT),
        "error": Mask(Kind.TEXT),
    },
)
REGISTRY.add(
    Holding(
        model=Message,
        whose=Whose.CUSTOMER,
        of=lambda scope: Message.objects.filter(campaign_message__event__order__in=scope.orders()),
        then=_cancel_delivery,
        fields=_MESSAGE_FIELDS,
    ),
    CAMPAIGN_MESSAGES,
    Holding(
        model=Message,
        whose=Whose.CUSTOMER,
        per=OWN,
        of=lambda scope: Message.objects.filter(conversation__contact__in=scope.ids(OWN)),
        then=_cancel_delivery,
        fields=_MESSAGE_FIELDS,
    ),
    # Agents' unsent drafts to the data subject and notes about them.
    Holding(
        model=Draft,
        whose=Whose.CUSTOMER,
        per=OWN,
        of=lambda scope: Draft.objects.filter(conversation__contact__in=scope.ids(OWN)),
        is_deleted=True,
        fields={"text": Mask(Kind.TEXT)},
    ),
    # What they wrote in other contacts' conversations, and what was sent to them there.
    Holding(
        model=Message,
        whose=Whose.CUSTOMER,
        per=OWN,
        of=lambda scope: Message.objects.filter(sender__contact__in=scope.ids(OWN)),
        fields=_MESSAGE_FIELDS,
    ),
    Holding(
        model=Message,
        whose=Whose.CUSTOMER,
        per=OWN,
        of=lambda scope: _sent_to_participants(scope),
        then=_cancel_delivery,
        fields=_MESSAGE_FIELDS,
    ),
    Holding(
        model=Conversation,
        whose=Whose.CUSTOMER,
        per=OWN,
        of=lambda scope: Conversation.objects.filter(
            participants__contact__in=scope.ids(OWN)
        ).distinct(),
        holds=_quotes_them,
        fields={"last_message_preview": Mask(Kind.TEXT)},
    ),
    Holding(
        model=Participant,
        whose=Whose.CUSTOMER,
        per=OWN,
        of=lambda scope: Participant.objects.filter(contact__in=scope.ids(OWN)),
        fields=_PARTICIPANT_FIELDS,
    ),
    Holding(
        model=Participant,
        whose=Whose.CUSTOMER,
        per=SHARED,
        of=lambda scope: Participant.objects.filter(contact__in=scope.ids(SHARED)),
        holds=_is_address_only_here,
        fields={"address": _PARTICIPANT_FIELDS["address"]},
    ),
    Holding(
        model=LogEntry,
        whose=Whose.CUSTOMER,
        per=OWN,
        of=_own_log,
        fields={"object_repr": Mask(Kind.NAME), "change_message": Mask(Kind.TEXT)},
    ),
    Holding(
        model=Conversation,
        whose=Whose.CUSTOMER,
        per=OWN,
        of=lambda scope: Conversation.objects.filter(contact__in=scope.ids(OWN)),
        fields={
            # A messenger's conversation ID may be a phone number; the column has to stay unique.
            "external_id": Mask(Kind.ACCOUNT, rewrite=lambda found: f"redacted:{found.pk}"),
            "subject": Mask(Kind.TEXT),
            "last_message_preview": Mask(Kind.TEXT),
        },
    ),
    Holding(
        model=Identity,
        whose=Whose.CUSTOMER,
        per=OWN,
        of=lambda scope: Identity.objects.filter(contact__in=scope.ids(OWN)),
        is_deleted=True,
        fields={"value": Mask(Kind.ACCOUNT), "source": Mask(Kind.TEXT)},
    ),
    Holding(
        model=Identity,
        whose=Whose.CUSTOMER,
        per=SHARED,
        of=lambda scope: Identity.objects.filter(contact__in=scope.ids(SHARED)),
        holds=is_only_here,
        is_deleted=True,
        fields={"value": Mask(Kind.ACCOUNT), "source": Mask(Kind.TEXT)},
    ),
    # Their addresses that were suggested for another contact and set aside by an agent.
    Holding(
        model=Identity,
        whose=Whose.CUSTOMER,
        of=lambda scope: Identity.objects.filter(is_here(scope), is_set_aside=True),
        is_deleted=True,
        fields={"value": Mask(Kind.ACCOUNT), "source": Mask(Kind.TEXT)},
    ),
    # Addresses they claimed, and their addresses that someone else claimed.
    Holding(
        model=Claim,
        whose=Whose.CUSTOMER,
        of=lambda scope: Claim.objects.filter(Q(contact__in=scope.ids(OWN)) | is_claimed(scope)),
        is_deleted=True,
        fields={"value": Mask(Kind.ACCOUNT), "source": Mask(Kind.TEXT)},
    ),
    Holding(
        model=Contact,
        whose=Whose.CUSTOMER,
        per=OWN,
        of=lambda scope: Contact.objects.filter(pk__in=scope.ids(OWN)),
        fields={"name": Mask(Kind.NAME), "language": Mask(Kind.TEXT)},
    ),
    Holding(
        model=ApiToken,
        whose=Whose.STAFF,
        fields={"name": Mask(Kind.TEXT), "last_used_ip": Mask(Kind.ADDRESS)},
    ),
    Holding(
        model=SocialAccount,
        whose=Whose.STAFF,
        fields={
            "provider": Mask(Kind.TEXT),
            "uid": Mask(Kind.ACCOUNT),
            "extra_data": Mask(Kind.DOCUMENT),
        },
    ),
    Holding(
        model=UserSession,
        whose=Whose.STAFF,
        fields={
            "ip": Mask(Kind.TEXT),
            "session_key": Mask(Kind.ACCOUNT),
            "user_agent": Mask(Kind.TEXT),
        },
    ),
)
