"""Normalize email addresses and phone numbers, so that two spellings of one compare equal."""

from __future__ import annotations

import unicodedata

import phonenumbers


def email_key(text: str) -> str:
    """Return an address in lower case, its domain decoded: xn--exmple-cua.de becomes exämple.de.

    The part before the @ changes only in case: jane+shop@ is a different address from jane@, and
    only their provider knows whether they share a mailbox.
    """
    address = unicodedata.normalize("NFC", text.strip().lower())
    name, at, domain = address.rpartition("@")
    if not at or "xn--" not in domain:
        return address
    try:
        return f"{name}@{domain.encode('ascii').decode('idna')}"
    except UnicodeError:
        return address


def normal_phone(text: str, region: str = "") -> str:
    """Return a number in E.164 (+4915112345678); "" if it isn't an international number.

    With a region (DE), a number as it is dialed there works too. 00 is read as +, as most of the
    world dials it.
    """
    cleaned = text.strip()
    found = _parsed(f"+{cleaned[2:]}" if cleaned.startswith("00") else cleaned)
    if found is None and region:
        found = _parsed(cleaned, region)
    return _e164(found) if found and phonenumbers.is_possible_number(found) else ""


def dialed_phone(text: str, region: str) -> str:
    """Return the E.164 form of a number that exists in the region; "" otherwise.

    Stricter than normal_phone, because here the country is our guess: the text didn't name one.
    """
    found = _parsed(text.strip(), region)
    return _e164(found) if found and phonenumbers.is_valid_number(found) else ""


def _parsed(text: str, region: str | None = None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
