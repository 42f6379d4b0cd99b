"""How addresses are kept, so that two spellings of one are one."""

from __future__ import annotations

import unicodedata

import phonenumbers


def email_key(text: str) -> str:
    """An e-mail address in lower case, its domain in letters: xn--exmple-cua.de is exämple.de.

    What is before the @ stays as it is, apart from its case: jane+shop@ is another address than
    jane@, and only its provider knows whether they are one mailbox."""
    address = unicodedata.normalize("NFC", text.strip().lower())
    name, at, domain = address.rpartition("@")
    if not at or "xn--" not in domain:
        return address
    try:
        return f"{name}@{domain.encode('ascii').decode('idna')}"
    except UnicodeError:
        return address


def normal_phone(text: str, region: str = "") -> str:
    """E.164 (+4915112345678), or "" for what is no international number; with a region (DE),
    also of a number as it is dialed there. 00 is read as +, as most of the world dials it."""
    words = text.strip()
    found = _parsed(f"+{words[2:]}" if words.startswith("00") else words)
    if found is None and region:
        found = _parsed(words, region)
    return _e164(found) if found and phonenumbers.is_possible_number(found) else ""


def dialed_phone(text: str, region: str) -> str:
    """E.164 of a number that exists where it is dialed; "" of any other. Stricter than
    normal_phone: here nobody wrote which country was meant."""
    found = _parsed(text.strip(), region)
    return _e164(found) if found and phonenumbers.is_valid_number(found) else ""


def _parsed(text: str, region: str | None = None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
