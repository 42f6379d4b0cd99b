"""Contacts: the people who write to us, and the addresses we know them by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from inbox import normalization


class Contact(models.Model):
    """A person. What we know them by are their identities; `name` is only for display."""

    name = models.CharField(max_length=255, blank=True)
    language = models.CharField(
        max_length=20, blank=True, help_text="A language code such as de. Empty: unknown."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(fields=["name"], name="inbox_contact_by_name"),
            # Retention.
            models.Index(fields=["created_at", "id"], name="inbox_contact_age"),
        ]

    def __str__(self) -> str:
        return self.shown_name

    @property
    def shown_name(self) -> str:
        """The name to display: never empty and never made of invisible characters."""
        return normalization.name(self.name) or gettext("Contact %(number)s") % {"number": self.pk}


class IdentityKind(models.TextChoices):
    """What an identity is: an address, a Shopify customer, or a user of a messenger."""

    EMAIL = "email", _("Email")
    PHONE = "phone", _("Phone")
    SHOPIFY_CUSTOMER = "shopify_customer", _("Shopify customer")
    CHANNEL_USER = "channel_user", _("Channel user")


class IdentityQuerySet(models.QuerySet["Identity"]):
    """Filters by whether an identity still counts."""

    def active(self) -> Self:
        """Identities that have not been removed from their contact."""
        return self.filter(removed_at=None)


class Identity(models.Model):
    """One address of a contact. `value` is normalized on save (inbox.normalization).

    A removed identity stays for the record and frees its value for another contact.
    """

    contact = models.ForeignKey(Contact, models.CASCADE, related_name="identities")
    kind = models.CharField(max_length=20, choices=IdentityKind.choices)
    value = models.CharField(
        max_length=255,
        help_text="Email in lowercase, phone number as +4915112345678, Shopify customer as <store "
        "ID>:<gid>.",
    )
    source = models.CharField(max_length=100, blank=True, help_text="Who or what provided it.")
    added_at = models.DateTimeField(auto_now_add=True)
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    is_set_aside = models.BooleanField(
        default=False,
        help_text="Suggested, but an agent marked it as belonging to someone else.",
    )
    removed_at = models.DateTimeField(null=True, blank=True)
    removed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    objects = IdentityQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "identities"
        ordering = ["kind", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "value"],
                condition=Q(removed_at=None),
                name="inbox_one_contact_per_identity",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=IdentityKind.values), name="inbox_identity_kind_known"
            ),
            models.CheckConstraint(condition=~Q(value=""), name="inbox_identity_has_value"),
            models.CheckConstraint(
                condition=Q(is_set_aside=False) | Q(removed_at__isnull=False),
                name="inbox_set_aside_is_not_active",
            ),
            # A Shopify customer ID means nothing without its store.
            models.CheckConstraint(
                condition=~Q(kind=IdentityKind.SHOPIFY_CUSTOMER)
                | ~Q(value__startswith="gid:")
                | Q(removed_at__isnull=False),
                name="inbox_identity_names_its_store",
            ),
        ]
        indexes = [
            # Whose an order is, removed identities included; and searches by the beginning.
            models.Index(
                fields=["value"], opclasses=["varchar_pattern_ops"], name="inbox_identity_by_value"
            ),
        ]

    def __str__(self) -> str:
        return self.value

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Save with the value normalized, so that equal addresses are stored equally."""
        if update_fields is None or "value" in update_fields:
            self.value = self._normal() or self.value
        super().save(*args, update_fields=update_fields, **kwargs)

    def clean(self) -> None:
        """Reject a value that is not an address of its kind, saying what to enter instead."""
        super().clean()
        if self.removed_at is not None:
            return
        found = self._normal()
        if not found:
            raise ValidationError({"value": normalization.how_to_write(self.kind)})
        self.value = found

    def _normal(self) -> str:
        return normalization.value(self.kind, self.value)

    @property
    def is_shopify_customer(self) -> bool:
        """Whether it links to a customer rather than being an address."""
        return self.kind == IdentityKind.SHOPIFY_CUSTOMER

    @property
    def shown(self) -> str:
        """The value to display: for a Shopify customer, just its number."""
        return self.value.rsplit("/", 1)[-1] if self.is_shopify_customer else self.value


class ClaimQuerySet(models.QuerySet["Claim"]):
    """Filters by whether a claim could be parsed."""

    def understood(self) -> Self:
        """Claims that parsed as an address; their values are normalized like an identity's."""
        return self.filter(is_understood=True)


class Claim(models.Model):
    """An unproven address that a contact gave as theirs.

    It finds no orders and grants nothing; it only leads to suggestions. Any number of contacts
    may claim the same address.
    """

    contact = models.ForeignKey(Contact, models.CASCADE, related_name="claims")
    kind = models.CharField(max_length=20, choices=IdentityKind.choices)
    value = models.CharField(
        max_length=255,
        help_text="Normalized like an identity's value; kept as written if it can't be parsed.",
    )
    is_understood = models.BooleanField(default=True)
    source = models.CharField(max_length=100, blank=True, help_text="Who or what provided it.")
    told_at = models.DateTimeField(default=timezone.now)
    told_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    objects = ClaimQuerySet.as_manager()

    class Meta:
        ordering = ["kind", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["contact", "kind", "value"], name="inbox_one_claim_per_address"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=[IdentityKind.EMAIL, IdentityKind.PHONE]),
                name="inbox_claim_is_an_address",
            ),
        ]
        indexes = [models.Index(fields=["kind", "value"], name="inbox_claim_by_value")]

    def __str__(self) -> str:
        return self.value
