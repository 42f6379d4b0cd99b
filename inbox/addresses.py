"""An agent's word on whose address is whose (row G09). Removed rows stay: who, and when."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from inbox import identities, live
from inbox.models import Contact, Identity, IdentityKind


class IdentityRefused(Exception):
    """An address that cannot be this contact's; the text says why and what to do."""


def add_identity(*, contact: Contact, text: str, by: User) -> Identity:
    """An e-mail address or an international phone number. Raises IdentityRefused."""
    email, phone = identities.normal_email(text), identities.normal_phone(text)
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


def remove_identity(*, identity: Identity, by: User) -> None:
    """Take an address from its contact; orders found by it alone go with it. Twice is once."""
    now = timezone.now()
    Identity.objects.active().filter(pk=identity.pk).update(removed_at=now, removed_by=by)
    live.announce(f"contact:{identity.contact_id}")


def restore_identity(*, identity: Identity, by: User) -> None:
    """Give it back. Raises IdentityRefused when another contact has it by now."""
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
