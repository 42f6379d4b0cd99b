"""Who a sender is: which of the addresses they gave are proven.

Every entry point follows the same rule: the channel API, the panel inside another help desk, and
email. Only a proven address finds orders, becomes a contact's identity or receives a
confirmation. An address that was merely given is a claim: it suggests a customer to agents and
does nothing by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from django.utils.translation import gettext as _

from inbox import normalization
from inbox.contacts import identities
from inbox.contacts.identities import Key
from inbox.models import Claim, Contact, Identity, IdentityKind

# The values that `sender.verified` may list.
PROVABLE: Final = (IdentityKind.EMAIL.value, IdentityKind.PHONE.value)
# A stranger must not fill a contact's page.
_CLAIMS_AT_MOST: Final = 10


@dataclass(frozen=True, slots=True)
class Address:
    """An address a sender gave. `value` is normalized like an identity's, or verbatim if
    `is_understood` is False."""

    kind: str
    value: str
    is_understood: bool = True

    @property
    def key(self) -> Key:
        """Kind and value, which identify the address."""
        return self.kind, self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """A sender's addresses, sorted by how far they can be trusted."""

    proven: tuple[Address, ...] = ()
    claimed: tuple[Address, ...] = ()
    not_understood: tuple[Address, ...] = ()

    def proven_value(self, kind: str) -> str:
        """Return the proven address of this kind, or ""."""
        return next((a.value for a in self.proven if a.kind == kind), "")

    def without(self, keys: Collection[Key]) -> Addresses:
        """Return a copy without the addresses that have these keys."""

        def kept(addresses: Sequence[Address]) -> tuple[Address, ...]:
            return tuple(a for a in addresses if a.key not in keys)

        return replace(
            self,
            proven=kept(self.proven),
            claimed=kept(self.claimed),
            not_understood=kept(self.not_understood),
        )

    @property
    def keys(self) -> list[Key]:
        """The keys of all addresses, parseable or not."""
        every = (*self.proven, *self.claimed, *self.not_understood)
        return [address.key for address in every]

    def claimed_value(self, kind: str) -> str:
        """Return the claimed address of this kind, or ""."""
        return next((a.value for a in self.claimed if a.kind == kind), "")

    @property
    def email(self) -> str:
        """The email address the sender gave, proven or not."""
        return self.value(IdentityKind.EMAIL)

    def value(self, kind: str) -> str:
        """Return the address of this kind that the sender gave, proven or not."""
        return self.proven_value(kind) or self.claimed_value(kind)


def weigh(*, email: str, phone: str, verified: Collection[str] | None, always: bool) -> Addresses:
    """Sort a sender's addresses into proven, claimed and unparseable ones.

    `verified` lists the kinds that the entry point says it has verified; None means it doesn't
    say, and then `always`, the setting of the channel or frame, decides. Without either, nothing
    counts as proven.
    """
    said = PROVABLE if verified is None and always else verified or ()
    proven: list[Address] = []
    claimed: list[Address] = []
    unclear: list[Address] = []
    for address in _parse(email, phone):
        if not address.is_understood:
            unclear.append(address)
        else:
            (proven if address.kind in said else claimed).append(address)
    return Addresses(proven=tuple(proven), claimed=tuple(claimed), not_understood=tuple(unclear))


def _parse(email: str, phone: str) -> Iterator[Address]:
    if text := email.strip():
        found = normalization.email(text)
        yield Address(IdentityKind.EMAIL.value, found or text, bool(found))
    if text := phone.strip():
        found = normalization.phone(text)
        yield Address(IdentityKind.PHONE.value, found or text, bool(found))


def why_not_understood(address: Address) -> str:
    """Explain what is wrong with an address, to the API client that sent it and to agents."""
    if address.kind == IdentityKind.EMAIL:
        return _("Not a valid email address.")
    return _(
        "We can’t read this phone number. Enter it with its country code, such as +49 151 12345678."
    )


def holder(addresses: Addresses) -> Contact | None:
    """Return the contact who holds an address that this sender has proven."""
    return identities.holder(
        email=addresses.proven_value(IdentityKind.EMAIL),
        phone=addresses.proven_value(IdentityKind.PHONE),
        given_email=addresses.email,
    )


def is_unidentified(contact: Contact) -> bool:
    """Whether a contact has no identity besides a channel's user ID."""
    known = contact.identities.active().exclude(kind=IdentityKind.CHANNEL_USER)
    return not known.exists()


def acceptable(contact: Contact, addresses: Addresses) -> Addresses:
    """Drop the addresses that an agent took from this contact or set aside. Only a person can give
    these back, no matter how often they are proven or claimed."""
    return addresses.without(identities.refused_by(contact, addresses.keys))


def learn(contact: Contact, addresses: Addresses, *, source: str) -> None:
    """Store what a sender gave: proven addresses that no contact holds become identities, all
    others claims. What was taken from the contact stays away. Expects the caller's transaction."""
    addresses = acceptable(contact, addresses)
    Identity.objects.bulk_create(
        [
            Identity(contact=contact, kind=address.kind, value=address.value, source=source)
            for address in addresses.proven
        ],
        ignore_conflicts=True,
    )
    held = set(contact.identities.active().values_list("kind", "value"))
    _claim(contact, [a for a in addresses.proven if a.key not in held], source)
    claimed = [a for a in addresses.claimed if a.key not in held]
    _claim(contact, [*claimed, *addresses.not_understood], source)
    # A proven address supersedes its earlier claim.
    for address in addresses.proven:
        if address.key in held:
            contact.claims.filter(kind=address.kind, value=address.value).delete()


def _claim(contact: Contact, addresses: Sequence[Address], source: str) -> None:
    room = _CLAIMS_AT_MOST - contact.claims.count() if addresses else 0
    Claim.objects.bulk_create(
        [
            Claim(
                contact=contact,
                kind=address.kind,
                value=address.value[:255],
                is_understood=address.is_understood,
                source=source[:100],
            )
            for address in addresses[: max(0, room)]
        ],
        ignore_conflicts=True,
    )
