"""Customers and addresses."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from msgspec import Struct, field

from practice_store.state.resources import Resource


class Address(Struct, kw_only=True):
    """A MailingAddress."""

    typename: ClassVar[str] = "MailingAddress"
    first_name: str | None = None
    last_name: str | None = None
    address1: str | None = None
    address2: str | None = None
    city: str | None = None
    province: str | None = None
    province_code: str | None = None
    zip: str | None = None
    country: str | None = None
    country_code: str | None = None
    phone: str | None = None
    company: str | None = None
    time_zone: str | None = None

    @property
    def name(self) -> str | None:
        """First and last name as one text; None if there is neither."""
        return " ".join(part for part in (self.first_name, self.last_name) if part) or None


class Customer(Resource, kw_only=True):
    """A customer; the consents are Shopify's marketing states."""

    typename: ClassVar[str] = "Customer"
    created_at: datetime
    updated_at: datetime
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    locale: str = "en"
    note: str | None = None
    state: str = "DISABLED"
    tax_exempt: bool = False
    tags: list[str] = field(default_factory=list)
    email_consent: str = "NOT_SUBSCRIBED"
    sms_consent: str = "NOT_SUBSCRIBED"

    @property
    def display_name(self) -> str:
        """Shopify's displayName: the name, or else the email, or else the phone."""
        name = " ".join(part for part in (self.first_name, self.last_name) if part)
        return name or self.email or self.phone or ""
