"""What personal data the inbox holds, whose it is, and how long it is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Exists, F, OuterRef, Q

from core.email_and_phone import normal_phone
from inbox.contacts import identities
from inbox.models import (
    ApiToken,
    CampaignMessage,
    Claim,
    Contact,
    Conversation,
    CustomerView,
    DeliveryState,
    Draft,
    Identity,
    IdentityKind,
    Message,
    Participant,
    RequestNotice,
    SendState,
)
from orders.models import Checkout, Customer, Order, Store
from orders.privacy.own_columns import CHECKOUT_HOLDING
from orders.privacy.registry import (
    REGISTRY,
    Holding,
    Kind,
    Mask,
    Rows,
    Scope,
    Whose,
    Wiper,
)
from orders.privacy.retention import (
    CONTACT_CHECKS,
    Rule,
    register,
)

REMOVED: Final = "[removed]"
# The data subject's contacts: those only this store knows, and those another store knows as well.
_OWN: Final = "inbox.Contact"
_SHARED: Final = "inbox.Contact shared"


def _contacts(scope: Scope) -> Mapping[str, Sequence[int]]:
    """Return the contacts of a scope, split into this store's own and shared ones.

    A shared contact is also a live customer of another store, so it keeps what isn't this store's.
    """
    # Identities that were set aside say who a contact is not.
    mine = Identity.objects.filter(_is_here(scope), is_set_aside=False).values("contact")
    others = Store.objects.exclude(pk=scope.store_id).filter(uninstalled_at=None)
    if scope.is_whole_store and not others.exists():
        # It's the only store, so every contact is its own, even one that matches no order.
        return {_OWN: list(Contact.objects.values_list("pk", flat=True))}
    elsewhere = Identity.objects.active().filter(_is_elsewhere(scope.store_id), contact__in=mine)
    shared = set(elsewhere.values_list("contact_id", flat=True))
    found = set(mine.values_list("contact_id", flat=True))
    return {_OWN: sorted(found - shared), _SHARED: sorted(found & shared)}


def _is_here(scope: Scope) -> Q:
    if scope.is_whole_store:
        own = {"store_id": scope.store_id}
        return Q(
            kind=IdentityKind.SHOPIFY_CUSTOMER, value__startswith=f"{scope.store_id}:"
        ) | _is_known(Q(**own))
    gids = [f"{scope.store_id}:{gid}" for gid in scope.customer_gids]
    return (
        Q(kind=IdentityKind.SHOPIFY_CUSTOMER, value__in=gids)
        | Q(kind=IdentityKind.EMAIL, value__in=scope.emails)
        | Q(kind=IdentityKind.PHONE, value__in=_phones(scope))
    )


def _is_claimed(scope: Scope) -> Q:
    """Match claims of the data subject's addresses, by any contact.

    Matches nothing for a whole store, so that only its own contacts' claims are removed.
    """
    return Q(kind=IdentityKind.EMAIL, value__in=scope.emails) | Q(
        kind=IdentityKind.PHONE, value__in=_phones(scope)
    )


def _is_elsewhere(store_id: int) -> Q:
    live = ~Q(store_id=store_id) & Q(store__uninstalled_at=None)
    return Q(kind=IdentityKind.SHOPIFY_CUSTOMER) & ~Q(value__startswith=f"{store_id}:") | _is_known(
        live
    )


def _is_known(stores: Q) -> Q:
    """Match identities whose address is on an order or a customer of these stores."""
    found = Q()
    for kind, column in ((IdentityKind.EMAIL, "email"), (IdentityKind.PHONE, "phone")):
        for model in (Order, Customer):
            rows: Any = model._default_manager.filter(stores).exclude(**{column: ""})
            found |= Q(kind=kind, value__in=rows.values(column))
    return found


def _phones(scope: Scope) -> list[str]:
    normal = [normal_phone(phone) for phone in scope.phones]
    return [phone for phone in (*scope.phones, *normal) if phone]


def _only_here(identity: Identity, scope: Scope) -> bool:
    """Return whether no other store knows this address of a shared contact."""
    if identity.kind == IdentityKind.SHOPIFY_CUSTOMER:
        return identity.value.startswith(f"{scope.store_id}:")
    rows = Identity.objects.filter(pk=identity.pk)
    return rows.filter(_is_here(scope)).exclude(_is_elsewhere(scope.store_id)).exists()


def _own_log(scope: Scope) -> Rows:
    """Return the admin's log entries of their contacts; the log repeats names that were edited."""
    ids = scope.ids(_OWN)
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
    return any(_only_here(identity, scope) for identity in same)


def _sent_to_participants(scope: Scope) -> Rows:
    """Return replies to the data subject in other contacts' conversations."""
    to = (
        Q(recipient=F("conversation__participants__address"))
        | Q(recipient=F("conversation__participants__external_id"))
        | Q(recipient__in=[*scope.emails, *_phones(scope)])
    )
    found = Message.objects.filter(
        to, conversation__participants__contact__in=scope.ids(_OWN)
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
    is_theirs = last.sender is not None and last.sender.contact_id in scope.ids(_OWN)
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
        per=_OWN,
        of=lambda scope: Message.objects.filter(conversation__contact__in=scope.ids(_OWN)),
        then=_cancel_delivery,
        fields=_MESSAGE_FIELDS,
    ),
    # Agents' unsent drafts to the data subject and notes about them.
    Holding(
        model=Draft,
        whose=Whose.CUSTOMER,
        per=_OWN,
        of=lambda scope: Draft.objects.filter(conversation__contact__in=scope.ids(_OWN)),
        is_deleted=True,
        fields={"text": Mask(Kind.TEXT)},
    ),
    # What they wrote in other contacts' conversations, and what was sent to them there.
    Holding(
        model=Message,
        whose=Whose.CUSTOMER,
        per=_OWN,
        of=lambda scope: Message.objects.filter(sender__contact__in=scope.ids(_OWN)),
        fields=_MESSAGE_FIELDS,
    ),
    Holding(
        model=Message,
        whose=Whose.CUSTOMER,
        per=_OWN,
        of=lambda scope: _sent_to_participants(scope),
        then=_cancel_delivery,
        fields=_MESSAGE_FIELDS,
    ),
    Holding(
        model=Conversation,
        whose=Whose.CUSTOMER,
        per=_OWN,
        of=lambda scope: Conversation.objects.filter(
            participants__contact__in=scope.ids(_OWN)
        ).distinct(),
        holds=_quotes_them,
        fields={"last_message_preview": Mask(Kind.TEXT)},
    ),
    Holding(
        model=Participant,
        whose=Whose.CUSTOMER,
        per=_OWN,
        of=lambda scope: Participant.objects.filter(contact__in=scope.ids(_OWN)),
        fields=_PARTICIPANT_FIELDS,
    ),
    Holding(
        model=Participant,
        whose=Whose.CUSTOMER,
        per=_SHARED,
        of=lambda scope: Participant.objects.filter(contact__in=scope.ids(_SHARED)),
        holds=_is_address_only_here,
        fields={"address": _PARTICIPANT_FIELDS["address"]},
    ),
    Holding(
        model=LogEntry,
        whose=Whose.CUSTOMER,
        per=_OWN,
        of=_own_log,
        fields={"object_repr": Mask(Kind.NAME), "change_message": Mask(Kind.TEXT)},
    ),
    Holding(
        model=Conversation,
        whose=Whose.CUSTOMER,
        per=_OWN,
        of=lambda scope: Conversation.objects.filter(contact__in=scope.ids(_OWN)),
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
        per=_OWN,
        of=lambda scope: Identity.objects.filter(contact__in=scope.ids(_OWN)),
        is_deleted=True,
        fields={"value": Mask(Kind.ACCOUNT), "source": Mask(Kind.TEXT)},
    ),
    Holding(
        model=Identity,
        whose=Whose.CUSTOMER,
        per=_SHARED,
        of=lambda scope: Identity.objects.filter(contact__in=scope.ids(_SHARED)),
        holds=_only_here,
        is_deleted=True,
        fields={"value": Mask(Kind.ACCOUNT), "source": Mask(Kind.TEXT)},
    ),
    # Their addresses that were suggested for another contact and set aside by an agent.
    Holding(
        model=Identity,
        whose=Whose.CUSTOMER,
        of=lambda scope: Identity.objects.filter(_is_here(scope), is_set_aside=True),
        is_deleted=True,
        fields={"value": Mask(Kind.ACCOUNT), "source": Mask(Kind.TEXT)},
    ),
    # Addresses they claimed, and their addresses that someone else claimed.
    Holding(
        model=Claim,
        whose=Whose.CUSTOMER,
        of=lambda scope: Claim.objects.filter(Q(contact__in=scope.ids(_OWN)) | _is_claimed(scope)),
        is_deleted=True,
        fields={"value": Mask(Kind.ACCOUNT), "source": Mask(Kind.TEXT)},
    ),
    Holding(
        model=Contact,
        whose=Whose.CUSTOMER,
        per=_OWN,
        of=lambda scope: Contact.objects.filter(pk__in=scope.ids(_OWN)),
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
_UNUSED = "stays empty: the provider is set by the environment"
_APP = ("provider", "provider_id", "name", "client_id", "secret", "key", "settings")
REGISTRY.declare("socialaccount.SocialApp", **dict.fromkeys(_APP, _UNUSED))
REGISTRY.declare("socialaccount.SocialToken", **dict.fromkeys(("token", "token_secret"), _UNUSED))
REGISTRY.declare("usersessions.UserSession", data="stays empty")
REGISTRY.declare("mfa.Authenticator", data="encrypted secrets and public keys")
REGISTRY.declare("account.EmailAddress", email="stays empty: addresses are on the account")
REGISTRY.declare("account.EmailConfirmation", key="stays empty")
REGISTRY.declare(
    "inbox.FailedLogIn", name_digest="a keyed hash", place="an address that guesses passwords"
)
REGISTRY.linkers.append(_contacts)


def _wipe(model: type[Conversation | Participant | Contact], of: Callable[[Scope], Rows]) -> Wiper:
    # One batch per call; the caller repeats it until nothing is left.
    def wipe(scope: Scope, limit: int) -> int:
        for part in scope.parts(_OWN):
            if ids := list(of(part).values_list("pk", flat=True)[:limit]):
                model.objects.filter(pk__in=ids).delete()
                return len(ids)
        return 0

    return wipe


REGISTRY.wipers |= {
    "inbox.Conversation": _wipe(
        Conversation, lambda scope: Conversation.objects.filter(contact__in=scope.ids(_OWN))
    ),
    "inbox.Participant": _wipe(
        Participant, lambda scope: Participant.objects.filter(contact__in=scope.ids(_OWN))
    ),
    "inbox.Contact": _wipe(Contact, lambda scope: Contact.objects.filter(pk__in=scope.ids(_OWN))),
}


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

_TEMPLATE = "a text with placeholders, written before any customer"
_SET_UP = "set up by an administrator"
REGISTRY.declare(
    "inbox.Campaign",
    name=_SET_UP,
    language=_SET_UP,
    subject=_TEMPLATE,
    body=_TEMPLATE,
    sms_text=_TEMPLATE,
)
REGISTRY.declare(
    "inbox.CampaignTranslation",
    language=_SET_UP,
    subject=_TEMPLATE,
    body=_TEMPLATE,
    sms_text=_TEMPLATE,
)
REGISTRY.declare("inbox.CampaignMessage", reason="a sentence of ours")
REGISTRY.declare(
    "inbox.Channel",
    name=_SET_UP,
    callback_url=_SET_UP,
    key_prefix="a key's name",
    key_hash="a hash",
    sealed_secret="encrypted",  # noqa: S106
)
REGISTRY.declare("inbox.CustomerView", kind="a word of ours")
REGISTRY.declare("inbox.Route", key="a channel's number, or a way out")
REGISTRY.declare("inbox.Team", name="a team of ours")
REGISTRY.declare("inbox.ApiToken", scope="a choice", digest="a hash", hint="too short to be of use")
REGISTRY.declare("inbox.OptOut", digest="a keyed hash, kept so that they stay unsubscribed")
REGISTRY.declare(
    "inbox.LiveEvent", topics="ids of ours, and keyed hashes of addresses, for two hours"
)
REGISTRY.declare(
    "inbox.HelpDeskFrame",
    name=_SET_UP,
    origins=_SET_UP,
    secret="encrypted",  # noqa: S106
)
REGISTRY.declare(
    "inbox.FrameCode",
    digest="a hash",
    session_key="an agent's login, for two minutes",
    challenge="a hash",
)
