"""Parse and format amounts the way people type them: "12,50" in German, "12.50" in English.

Eastern Arabic and other Unicode digits work too. Ambiguous input is rejected with a question
instead of guessed at: "1.000" is one in English and a thousand in German, and the keyboard doesn't
say which was meant. `read` gives back exactly what `write` wrote, in every language.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import Final

from django.utils import translation
from django.utils.translation import gettext as _

from orders.errors import InvalidMoney
from orders.money import Money, babel_locale, digits

# Marks that only ever separate thousands: spaces, apostrophes, and the Arabic separator.
_GROUPING_ONLY: Final = dict.fromkeys(map(ord, "\u00a0\u202f\u2009'’\u066c"), " ")
# The Arabic decimal mark and comma, and the full-width forms of East Asian keyboards.
_LOOKALIKES: Final = {0x066B: "\u066b", 0x060C: ",", 0xFF0C: ",", 0xFF0E: "."}
_BIDI_MARKS: Final = dict.fromkeys((0x200E, 0x200F, 0x061C, 0x2066, 0x2067, 0x2068, 0x2069))
_MAX_DIGITS: Final = 15
_GROUPED: Final = re.compile(r"[1-9][0-9]{0,2}(?:([ .,])[0-9]{3})(?:\1[0-9]{3})*")
# Indian grouping: 12,34,567.
_LAKHS: Final = re.compile(r"[1-9][0-9]?(?:,[0-9]{2})*,[0-9]{3}")


def write(money: Money, language: str | None = None, *, places: int | None = None) -> str:
    """Format an amount for a form field, with every digit and no grouping.

    Uses the language's decimal mark and shows at least `places` decimals.
    """
    text = f"{money.amount:.{max(money.places, places or 0)}f}"
    return text.replace(".", _decimal_mark(language))


def read(
    text: str, currency: str, *, places: int | None = None, language: str | None = None
) -> Money:
    """Parse an amount typed in the active language, or in `language`.

    `currency` may be "" when the amount belongs to no single currency, as with a limit that applies
    to several stores. `places` allows more decimals than the currency has. Raises InvalidMoney,
    with a translated message, for input that isn't an amount or could be read as two different
    ones.
    """
    clean = _ascii(text)
    allowed = max(digits(currency), places or 0)
    if clean is None:
        raise _no_amount(currency, language)
    marks = re.findall(r"[^0-9]", clean)
    if not marks:
        return _money(clean, "", currency, language).with_at_most(allowed)
    whole, mark, fraction = _split(clean)
    if len(marks) == 1 and mark in ".," and _GROUPED.fullmatch(clean):
        return _resolve_single_mark(text, whole, mark, fraction, currency, allowed, language)
    if _is_grouped(clean):
        return _money(clean, "", currency, language).with_at_most(allowed)
    if mark == " " or not fraction or (len(marks) > 1 and not _is_grouped(whole, but=mark)):
        raise _no_amount(currency, language)
    return _money(whole, fraction, currency, language).with_at_most(allowed)


def _resolve_single_mark(
    text: str,
    whole: str,
    mark: str,
    fraction: str,
    currency: str,
    allowed: int,
    language: str | None,
) -> Money:
    """Decide whether three digits after a single point or comma are decimals or thousands."""
    grouped = _money(whole + fraction, "", currency, language)
    decimals = _money(whole, fraction, currency, language)
    own_mark = _decimal_mark(language)
    # With no currency given, three decimals are as unlikely as in most currencies.
    # The language's own decimal mark, and that many decimals are allowed: no doubt.
    if mark == own_mark and (allowed if currency else digits(currency)) >= len(fraction):
        return decimals
    # A foreign mark in a currency without decimals can only separate thousands.
    if mark != own_mark and allowed == 0:
        return grouped
    written = {
        "typed": text.strip(),
        "large": write(grouped, language),
        "small": write(decimals, language),
    }
    if decimals.places <= allowed:
        text = _("“%(typed)s” can be read two ways. Enter %(small)s or %(large)s.")
    else:
        text = _("“%(typed)s” can be read two ways. Enter %(large)s if that’s what you mean.")
    raise InvalidMoney(text % written)


def _split(clean: str) -> tuple[str, str, str]:
    """Return the text before the last mark, the mark, and the text after it."""
    at = max(clean.rfind(mark) for mark in " .,\u066b")
    return clean[:at], clean[at], clean[at + 1 :]


def _is_grouped(whole: str, *, but: str = "") -> bool:
    """Whether the digits are grouped conventionally, by one mark other than `but`."""
    if whole.isdigit():
        return True
    found = _GROUPED.fullmatch(whole)
    if found:
        return found.group(1) != but
    return but != "," and _LAKHS.fullmatch(whole) is not None


def _money(whole: str, fraction: str, currency: str, language: str | None) -> Money:
    figures = re.sub(r"[^0-9]", "", whole)
    if not figures or len(figures) > _MAX_DIGITS or len(fraction) > _MAX_DIGITS:
        raise _no_amount(currency, language)
    return Money(Decimal(f"{figures}.{fraction or 0}"), currency)


def _ascii(text: str) -> str | None:
    """Normalize to ASCII digits plus space, point, comma and the Arabic decimal mark.

    Return None if any other character is left, including signs and letters.
    """
    text = text.translate(_BIDI_MARKS).strip().translate(_GROUPING_ONLY).translate(_LOOKALIKES)
    found = []
    for character in text:
        digit = unicodedata.decimal(character, None)
        found.append(character if digit is None else str(digit))
    clean = "".join(found)
    return clean if re.fullmatch(r"[0-9][0-9 .,\u066b]*", clean) else None


def _decimal_mark(language: str | None) -> str:
    symbols = babel_locale(language or translation.get_language() or "en").number_symbols
    # Pages show amounts in Latin digits, so fields do too.
    mark: str = symbols["latn"]["decimal"]
    return mark


def _no_amount(currency: str, language: str | None) -> InvalidMoney:
    example = write(Money(Decimal("12.5") if digits(currency) else Decimal(12), currency), language)
    return InvalidMoney(_("Enter an amount such as %(example)s.") % {"example": example})
