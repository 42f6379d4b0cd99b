"""Who a sender is: which of the addresses they gave has been proven (rows G09, G18).

The one rule of every entrance: the channel API, the panel inside another help desk, e-mail. Only
a proven address finds orders, is a contact's identity or gets a confirmation. One that was merely
given is a claim: it suggests a customer to people, and does nothing by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext as _

from inbox import identities
from inbox.models import Claim, Contact, Identity, IdentityKind
from orders.addresses import dialed_phone, normal_phone
from orders.models import Store

# The words of `sender.verified`.
PROVABLE: Final = (IdentityKind.EMAIL.value, IdentityKind.PHONE.value)
# A stranger must not fill a contact's page.
_CLAIMS_AT_MOST: Final = 10


@dataclass(frozen=True, slots=True)
class Address:
    """Normalised as an identity's value; as it was given where `is_understood` is False."""

    kind: str
    value: str
    is_understood: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """What an entrance's words amount to."""

    proven: tuple[Address, ...] = ()
    claimed: tuple[Address, ...] = ()
    not_understood: tuple[Address, ...] = ()

    def proven_value(self, kind: str) -> str:
        return next((a.value for a in self.proven if a.kind == kind), "")

    def claimed_value(self, kind: str) -> str:
        return next((a.value for a in self.claimed if a.kind == kind), "")

    @property
    def email(self) -> str:
        """The e-mail address they gave, proven or not."""
        kind = IdentityKind.EMAIL
        return self.proven_value(kind) or self.claimed_value(kind)


def weigh(*, email: str, phone: str, verified: Collection[str] | None, always: bool) -> Addresses:
    """Sort what was given. `verified`: the kinds the entrance says it has proven; None: it does
    not say. `always`: its setting says that it proves every one. Nothing said: nothing proven."""
    said = PROVABLE if verified is None and always else verified or ()
    proven: list[Address] = []
    claimed: list[Address] = []
    unclear: list[Address] = []
    for address in _understood(email, phone):
        if not address.is_understood:
            unclear.append(address)
        else:
            (proven if address.kind in said else claimed).append(address)
    return Addresses(proven=tuple(proven), claimed=tuple(claimed), not_understood=tuple(unclear))


def _understood(email: str, phone: str) -> Iterator[Address]:
    if text := email.strip():
        found = identities.normal_email(text)
        yield Address(IdentityKind.EMAIL.value, found or text, bool(found))
    if text := phone.strip():
        found = local_phone(text)
        yield Address(IdentityKind.PHONE.value, found or text, bool(found))


def local_phone(text: str) -> str:
    """E.164 of a number as people write it, dialed in the country of a store; "" where it is
    none, or where two stores' countries read two numbers in it. One query for a number without
    its country."""
    if found := normal_phone(text):
        return found
    countries = Store.objects.active().exclude(country="").order_by()
    regions = countries.values_list("country", flat=True).distinct()
    found_all = {dialed_phone(text, region) for region in regions} - {""}
    return found_all.pop() if len(found_all) == 1 else ""


def why_not_understood(address: Address) -> str:
    """For whoever sent it, and for agents."""
    if address.kind == IdentityKind.EMAIL:
        return _("Not an e-mail address.")
    return _("Not a phone number we can read: write it with its country, as +49 151 12345678.")


def holder(addresses: Addresses) -> Contact | None:
    """The contact whose proven address this sender has proven, too."""
    return identities.holder(
        email=addresses.proven_value(IdentityKind.EMAIL),
        phone=addresses.proven_value(IdentityKind.PHONE),
        given_email=addresses.email,
    )


def is_nobody(contact: Contact) -> bool:
    """Whether all that is known of a contact is how a channel names them."""
    known = contact.identities.active().exclude(kind=IdentityKind.CHANNEL_USER)
    return not known.exists()


def learn(contact: Contact, addresses: Addresses, *, source: str) -> None:
    """Keep what a sender gave: proven addresses that nobody has become the contact's, all others
    stay claims. Expects the caller's transaction."""
    Identity.objects.bulk_create(
        [
            Identity(contact=contact, kind=address.kind, value=address.value, source=source)
            for address in addresses.proven
        ],
        ignore_conflicts=True,
    )
    held = set(contact.identities.active().values_list("kind", "value"))
    _claim(contact, [a for a in addresses.proven if (a.kind, a.value) not in held], source)
    claimed = [a for a in addresses.claimed if (a.kind, a.value) not in held]
    _claim(contact, [*claimed, *addresses.not_understood], source)
    # What was claimed before is proven now.
    for address in addresses.proven:
        if (address.kind, address.value) in held:
            contact.claims.filter(kind=address.kind, value=address.value).delete()


def _claim(contact: Contact, addresses: Sequence[Address], source: str) -> None:
    room = _CLAIMS_AT_MOST - contact.claims.count() if addresses else 0
    Claim.objects.bulk_create(
        [
            Claim(
                contact=contact, kind=address.kind, value=address.value[:255],
                is_understood=address.is_understood, source=source[:100],
            )
            for address in addresses[: max(0, room)]
        ],
        ignore_conflicts=True,
    )  # fmt: skip
