"""An agent's word on whose address is whose (row G09). Removed rows stay: who, and when."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from inbox import identities, live, senders
from inbox.models import Contact, Identity, IdentityKind


class IdentityRefused(Exception):
    """An address that cannot be this contact's; the text says why and what to do."""


def add_identity(*, contact: Contact, text: str, by: User) -> Identity:
    """An e-mail address or an international phone number. Raises IdentityRefused."""
    email, phone = identities.normal_email(text), senders.local_phone(text)
    if not email and not phone:
        raise IdentityRefused(
            _("Enter an e-mail address, or a phone number with its country: +49 151 12345678.")
        )
    kind = IdentityKind.EMAIL if email else IdentityKind.PHONE
    try:
        with transaction.atomic():
            made = Identity.objects.create(
                contact=contact, kind=kind, value=email or phone, source=_("agent"), added_by=by
            )
    except IntegrityError as error:
        raise IdentityRefused(_taken(email or phone)) from error
    live.announce(f"contact:{contact.pk}")
    return made


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
                            contact=contact, kind=IdentityKind.SHOPIFY_CUSTOMER, value=value,
                            source=(source or _("agent"))[:100], added_by=by,
                        )
                    )  # fmt: skip
    except IntegrityError as error:
        raise IdentityRefused(_taken(value.rsplit("/", 1)[-1])) from error
    live.announce(f"contact:{contact.pk}")
    return made


def accept_suggestion(
    *, contact: Contact, kind: IdentityKind, value: str, evidence: str, by: User
) -> Identity:
    """An agent says that a suggested address is this contact's. Raises IdentityRefused."""
    source = (_("suggested: %s") % evidence)[:100]
    if kind == IdentityKind.SHOPIFY_CUSTOMER:
        pair = identities.customer_key(value)
        link_customers(contact=contact, customers=[pair], by=by, source=source)
        return contact.identities.active().get(kind=kind, value=value)
    try:
        with transaction.atomic():
            made = Identity.objects.create(
                contact=contact, kind=kind, value=value, source=source, added_by=by
            )
    except IntegrityError as error:
        raise IdentityRefused(_taken(value)) from error
    live.announce(f"contact:{contact.pk}")
    return made


def set_aside(
    *, contact: Contact, kind: IdentityKind, value: str, evidence: str, by: User
) -> Identity:
    """An agent says that a suggested address is another person's: it is not asked again."""
    made: Identity
    made, _is_new = Identity.objects.get_or_create(
        contact=contact, kind=kind, value=value, is_set_aside=True,
        defaults={"source": evidence[:100], "removed_at": timezone.now(), "removed_by": by},
    )  # fmt: skip
    live.announce(f"contact:{contact.pk}")
    return made


def remove_identity(*, identity: Identity, by: User) -> None:
    """Take an address from its contact; orders found by it alone go with it. Twice is once."""
    now = timezone.now()
    Identity.objects.active().filter(pk=identity.pk).update(removed_at=now, removed_by=by)
    live.announce(f"contact:{identity.contact_id}")


def restore_identity(*, identity: Identity, by: User) -> None:
    """Give it back. Raises IdentityRefused when another contact has it by now.

    What was only set aside was never the contact's: it may be suggested again."""
    if identity.is_set_aside:
        Identity.objects.filter(pk=identity.pk, is_set_aside=True).delete()
        live.announce(f"contact:{identity.contact_id}")
        return
    try:
        with transaction.atomic():
            Identity.objects.filter(pk=identity.pk).exclude(removed_at=None).update(
                removed_at=None, removed_by=None, added_by=by
            )
    except IntegrityError as error:
        raise IdentityRefused(_taken(identity.value)) from error
    live.announce(f"contact:{identity.contact_id}")


def _taken(value: str) -> str:
    return _("%s belongs to another contact: take it from there first.") % value
