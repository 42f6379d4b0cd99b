"""An agent's word on whose address is whose (row G09). Removed rows stay: who, and when."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from inbox import normalization
from inbox.accounts import roles
from inbox.contacts import identities
from inbox.contacts.suggestions import Suggestion
from inbox.live import events
from inbox.models import Claim, Contact, Conversation, Identity, IdentityKind
from orders import audit
from orders.models import AuditKind


class IdentityRefused(Exception):
    """An address that cannot be this contact's; the text says why and what to do."""


def add_address(*, contact: Contact, text: str, by: User) -> Identity | Claim:
    """An e-mail address or phone number that somebody typed. Nobody has proven it: it becomes the
    contact's by a supervisor's word, which is logged, and by an agent's it is a claim. Raises
    IdentityRefused."""
    email, phone = normalization.email(text), normalization.phone(text)
    if not email and not phone:
        raise IdentityRefused(
            _("Enter an e-mail address, or a phone number with its country: +49 151 12345678.")
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
    return _add_on_word(contact, kind, value, source=_("supervisor"), by=by, because="typed")


def _add_on_word(
    contact: Contact, kind: IdentityKind, value: str, *, source: str, by: User, because: str
) -> Identity:
    """An address that no channel has proven, on a supervisor's word. Raises IdentityRefused."""
    try:
        with transaction.atomic():
            made = Identity.objects.create(
                contact=contact, kind=kind, value=value, source=source[:100], added_by=by
            )
            contact.claims.filter(kind=kind, value=value).delete()
            _note(made, by=by, because=because)
    except IntegrityError as error:
        raise IdentityRefused(_taken(shown_value(kind, value))) from error
    events.announce(f"contact:{contact.pk}")
    return made


def _refuse_taken_away(contact: Contact, kind: IdentityKind, value: str) -> None:
    if identities.refused_by(contact, [(kind.value, value)]):
        raise IdentityRefused(
            _("%s was taken from this contact: give it back under “Taken away”.")
            % shown_value(kind, value)
        )


def _lock(contact: Contact) -> None:
    """One word on a contact's addresses after the other, and none while a message of theirs is
    taken in. Conversations first, as whoever takes one in: otherwise the two would wait for each
    other. Expects the caller's transaction."""
    conversations = Conversation.objects.select_for_update(no_key=True).filter(contact=contact)
    list(conversations.order_by("pk").values_list("pk", flat=True))
    own = Contact.objects.select_for_update(no_key=True).filter(pk=contact.pk)
    own.values_list("pk", flat=True).first()


def shown_value(kind: str, value: str) -> str:
    """The value for people: of a Shopify customer, its number."""
    return value.rsplit("/", 1)[-1] if kind == IdentityKind.SHOPIFY_CUSTOMER else value


def _note(identity: Identity, *, by: User, because: str) -> None:
    """In the audit log, which holds no addresses: whose and which row."""
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
    """These Shopify customers, as (store id, gid), are this contact: the answer to "Which
    customer is it?". All of them or none; raises IdentityRefused."""
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
        raise IdentityRefused(_taken(value.rsplit("/", 1)[-1])) from error
    events.announce(f"contact:{contact.pk}")
    return made


def accept_suggestion(*, contact: Contact, found: Suggestion, by: User) -> Identity:
    """A suggested address is this contact's, unless somebody has set it aside meanwhile. Where only
    the sender's own words speak for it, that is a supervisor's word against the rule, and logged.
    Raises IdentityRefused."""
    if found.is_taken:
        raise IdentityRefused(_taken(found.shown))
    if found.is_claim and not roles.is_supervisor(by):
        raise IdentityRefused(_("Only a supervisor can confirm what nobody has proven."))
    try:
        with transaction.atomic():
            _lock(contact)
            _refuse_taken_away(contact, found.kind, found.value)
            if found.is_claim:
                source = _("confirmed by a supervisor: %s") % found.evidence
                return _add_on_word(
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
        raise IdentityRefused(_taken(found.shown)) from error
    events.announce(f"contact:{contact.pk}")
    return made


def set_aside(
    *, contact: Contact, kind: IdentityKind, value: str, evidence: str, by: User
) -> Identity | None:
    """An agent says that a suggested address is another person's: it is not asked again. None:
    somebody has accepted it meanwhile, so it is the contact's."""
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
    """Take an address from its contact; orders found by it alone go with it. Twice is once."""
    now = timezone.now()
    Identity.objects.active().filter(pk=identity.pk).update(removed_at=now, removed_by=by)
    events.announce(f"contact:{identity.contact_id}")


def restore_identity(*, identity: Identity, by: User) -> None:
    """Give it back. Raises IdentityRefused when another contact has it by now, and where an agent
    would undo what somebody else decided about an address that rests on a person's word alone.

    What was only set aside was never the contact's: it may be suggested again."""
    if identity.is_set_aside:
        Identity.objects.filter(pk=identity.pk, is_set_aside=True).delete()
        events.announce(f"contact:{identity.contact_id}")
        return
    is_supervisor = roles.is_supervisor(by)
    is_others = identity.added_by_id is not None and identity.removed_by_id != by.pk
    if is_others and not is_supervisor:
        raise IdentityRefused(_("Only a supervisor can confirm what nobody has proven."))
    try:
        with transaction.atomic():
            Identity.objects.filter(pk=identity.pk).exclude(removed_at=None).update(
                removed_at=None, removed_by=None, added_by=by
            )
            if is_supervisor:
                _note(identity, by=by, because="given back")
    except IntegrityError as error:
        raise IdentityRefused(_taken(identity.value)) from error
    events.announce(f"contact:{identity.contact_id}")


def _taken(value: str) -> str:
    return _("%s belongs to another contact: take it from there first.") % value
