"""Agents' decisions about which address belongs to which contact.

Removed identities stay as rows that record who removed them and when.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from inbox import normalization
from inbox.accounts import roles
from inbox.contacts import identities
from inbox.contacts.suggested_addresses import Suggestion
from inbox.live import events
from inbox.models import Claim, Contact, Conversation, Identity, IdentityKind
from orders import audit
from orders.models import AuditKind


class IdentityRefused(Exception):
    """The address cannot become this contact's; the message says why and what to do."""


def add_address(*, contact: Contact, text: str, by: User) -> Identity | Claim:
    """Add a typed email address or phone number to a contact.

    It is unproven: from a supervisor it becomes an identity, which is audited; from any other
    agent it becomes a claim. Raises IdentityRefused.
    """
    email, phone = normalization.email(text), normalization.phone(text)
    if not email and not phone:
        raise IdentityRefused(
            _("Enter an email address, or a phone number with its country code: +49 151 12345678.")
        )
    kind, value = (IdentityKind.EMAIL, email) if email else (IdentityKind.PHONE, phone)
    if not roles.is_supervisor(by):
        _refuse_taken_away(contact, kind, value)
        claim, _is_new = Claim.objects.get_or_create(
            contact=contact,
            kind=kind,
            value=value,
            defaults={"source": _("agent"), "told_by": by},
        )
        events.announce(f"contact:{contact.pk}")
        return claim
    return _add_vouched(contact, kind, value, source=_("supervisor"), by=by, because="typed")


def _add_vouched(
    contact: Contact, kind: IdentityKind, value: str, *, source: str, by: User, because: str
) -> Identity:
    """Make an unproven address an identity because a supervisor vouches for it, and audit that.

    Raises IdentityRefused if another contact has it.
    """
    try:
        with transaction.atomic():
            made = Identity.objects.create(
                contact=contact, kind=kind, value=value, source=source[:100], added_by=by
            )
            contact.claims.filter(kind=kind, value=value).delete()
            _audit_confirmation(made, by=by, because=because)
    except IntegrityError as error:
        raise IdentityRefused(_taken_message(shown_value(kind, value))) from error
    events.announce(f"contact:{contact.pk}")
    return made


def _refuse_taken_away(contact: Contact, kind: IdentityKind, value: str) -> None:
    if identities.refused_by(contact, [(kind.value, value)]):
        raise IdentityRefused(
            _("%s was removed from this contact. Use “Removed from this contact” to restore it.")
            % shown_value(kind, value)
        )


def _lock(contact: Contact) -> None:
    """Serialize decisions about a contact's addresses with each other and with receiving messages.

    Conversations are locked first, in the order in which receiving a message locks them; otherwise
    the two could deadlock. Expects the caller's transaction.
    """
    conversations = Conversation.objects.select_for_update(no_key=True).filter(contact=contact)
    list(conversations.order_by("pk").values_list("pk", flat=True))
    own = Contact.objects.select_for_update(no_key=True).filter(pk=contact.pk)
    own.values_list("pk", flat=True).first()


def shown_value(kind: str, value: str) -> str:
    """Format an identity's value for display: for a Shopify customer, just its number."""
    return value.rsplit("/", 1)[-1] if kind == IdentityKind.SHOPIFY_CUSTOMER else value


def _audit_confirmation(identity: Identity, *, by: User, because: str) -> None:
    """Record in the audit log that an identity was confirmed, by IDs only: the log holds no
    addresses."""
    is_customer = identity.is_shopify_customer
    audit.record(
        AuditKind.IDENTITY,
        actor=by,
        after="confirmed",
        contact=identity.contact_id,
        identity=identity.pk,
        address=identity.kind,
        because=because,
        store_id=identities.customer_key(identity.value)[0] if is_customer else None,
    )


def link_customers(
    *, contact: Contact, customers: Iterable[tuple[int, str]], by: User, source: str = ""
) -> list[Identity]:
    """Link Shopify customers, given as (store ID, gid), to a contact.

    This is the answer to "Which customer is this?". Links all of them or none, and returns the new
    identities; raises IdentityRefused if one belongs to another contact.
    """
    made = []
    try:
        with transaction.atomic():
            for store_id, gid in customers:
                value = identities.customer_value(store_id, gid)
                known = contact.identities.active().filter(
                    kind=IdentityKind.SHOPIFY_CUSTOMER, value=value
                )
                if not known.exists():
                    made.append(
                        Identity.objects.create(
                            contact=contact,
                            kind=IdentityKind.SHOPIFY_CUSTOMER,
                            value=value,
                            source=(source or _("agent"))[:100],
                            added_by=by,
                        )
                    )
    except IntegrityError as error:
        raise IdentityRefused(_taken_message(value.rsplit("/", 1)[-1])) from error
    events.announce(f"contact:{contact.pk}")
    return made


def accept_suggestion(*, contact: Contact, found: Suggestion, by: User) -> Identity:
    """Make a suggested address an identity of this contact.

    If only the sender's own claim supports it, accepting it takes a supervisor and is audited.
    Raises IdentityRefused, also if the address has been set aside or taken away since it was shown.
    """
    if found.is_taken:
        raise IdentityRefused(_taken_message(found.shown))
    if found.is_claim and not roles.is_supervisor(by):
        raise IdentityRefused(_("Only a supervisor can confirm this without proof."))
    try:
        with transaction.atomic():
            _lock(contact)
            _refuse_taken_away(contact, found.kind, found.value)
            if found.is_claim:
                source = _("confirmed by a supervisor: %s") % found.evidence
                return _add_vouched(
                    contact, found.kind, found.value, source=source, by=by, because="claim"
                )
            source = _("suggested: %s") % found.evidence
            made = Identity.objects.create(
                contact=contact,
                kind=found.kind,
                value=found.value,
                source=source[:100],
                added_by=by,
            )
    except IntegrityError as error:
        raise IdentityRefused(_taken_message(found.shown)) from error
    events.announce(f"contact:{contact.pk}")
    return made


def set_aside(
    *, contact: Contact, kind: IdentityKind, value: str, evidence: str, by: User
) -> Identity | None:
    """Record that a suggested address is another person's, so that it isn't suggested again.

    Return None if it has been accepted since, because then it is the contact's.
    """
    with transaction.atomic():
        _lock(contact)
        if contact.identities.active().filter(kind=kind, value=value).exists():
            return None
        made: Identity
        made, _is_new = Identity.objects.get_or_create(
            contact=contact,
            kind=kind,
            value=value,
            is_set_aside=True,
            defaults={"source": evidence[:100], "removed_at": timezone.now(), "removed_by": by},
        )
        events.announce(f"contact:{contact.pk}")
    return made


def remove_identity(*, identity: Identity, by: User) -> None:
    """Take an address away from its contact, along with the orders found only by it. Idempotent."""
    now = timezone.now()
    Identity.objects.active().filter(pk=identity.pk).update(removed_at=now, removed_by=by)
    events.announce(f"contact:{identity.contact_id}")


def restore_identity(*, identity: Identity, by: User) -> None:
    """Give a removed address back to its contact.

    Raises IdentityRefused if another contact has it by now, and if a non-supervisor would overrule
    someone else's removal of an address that a person, not a channel, had added. An address that
    was only set aside never belonged to the contact; it just becomes eligible for suggestions
    again.
    """
    if identity.is_set_aside:
        Identity.objects.filter(pk=identity.pk, is_set_aside=True).delete()
        events.announce(f"contact:{identity.contact_id}")
        return
    is_supervisor = roles.is_supervisor(by)
    is_others = identity.added_by_id is not None and identity.removed_by_id != by.pk
    if is_others and not is_supervisor:
        raise IdentityRefused(_("Only a supervisor can confirm this without proof."))
    try:
        with transaction.atomic():
            Identity.objects.filter(pk=identity.pk).exclude(removed_at=None).update(
                removed_at=None, removed_by=None, added_by=by
            )
            if is_supervisor:
                _audit_confirmation(identity, by=by, because="given back")
    except IntegrityError as error:
        raise IdentityRefused(_taken_message(identity.value)) from error
    events.announce(f"contact:{identity.contact_id}")


def _taken_message(value: str) -> str:
    return _("%s belongs to another contact. Remove it from that contact first.") % value
