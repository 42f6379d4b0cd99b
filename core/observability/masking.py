"""Keep secrets and customer data out of logs and error reports.

Two nets: names whose values are never shown, and patterns of tokens, keys, addresses and phone
numbers anywhere in a text. What is hidden is marked, so that a reader can tell.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from core.change_origin import current_origin

HIDDEN: Final = "[hidden]"
# How many characters of a message, traceback or value a log or report keeps.
LONGEST: Final = 16_384
# No secret is longer, so cutting a text drops at most this much to end at a space.
_LONGEST_WORD: Final = 1024
# Headers, parameters, settings and variables whose values are never shown.
_NAMES: Final = (
    r"authorization|cookie|x[-_]?shopify[-_]?access[-_]?token|x[-_]?shopify[-_]?hmac[-_]?sha[-_]?256|hmac|"
    r"(?:access|refresh|id|api|csrf(?:middleware)?|session|auth)[_-]?token|csrftoken|sessionid|"
    r"(?:client|api|app|shared|signing|sealed)[_-]?secret|secret(?:_key)?|pass(?:word|wd|phrase)|"
    r"api[_-]?key|private[_-]?key|webhook[-_]?signature|sentry_dsn"
)
SECRET_NAME: Final = re.compile(
    rf"{_NAMES}|token|secret|signature|fernet|encryption|sealed|credential|dsn|database_url|"
    r"redis_url|broker|email|phone|address|customer|recipient|sender",
    re.IGNORECASE,
)
# By now repr, JSON or HTML may have escaped the quotes, more than once.
_QUOTE: Final = r"""(?:\\{0,15}["']|&quot;|&\#x27;|&\#39;|%22){0,8}"""
# name: value, name=value, ("name", b"value"); but nothing that is hidden already.
_NAMED: Final = re.compile(
    # The lookahead lists the first letters of all names: most positions fail right there.
    rf"""((?<![A-Za-z])(?=[achiprswx])(?:HTTP_)?(?:{_NAMES}){_QUOTE}"""
    r"""\s{0,32}(?:[:=]|,\s{0,32}(?=b?["'\\&]))\s{0,32}"""
    rf"""(?:b(?=["'\\&]))?{_QUOTE})"""
    r"""(?!(?:(?:Bearer|Basic|Token)\s{1,32})?\[hidden\])(?:(?:Bearer|Basic|Token)\s{1,32})?"""
    r"""[^\s"'&,;<>(){}\\]{3,}""",
    re.IGNORECASE,
)
_SHAPES: Final[tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]] = (
    (re.compile(r"\b(shp[a-z]{2,4}_)[A-Za-z0-9_\-]{6,}"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(axk_)[A-Za-z0-9]+_[A-Za-z0-9]+"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(axt_)[A-Za-z0-9_\-]{8,}"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(whsec_)[A-Za-z0-9+/=]+"), rf"\1{HIDDEN}"),
    # A Fernet token: ciphertext doesn't leave the database either.
    (re.compile(r"\bgAAAA[A-Za-z0-9_\-]{20,}={0,2}"), HIDDEN),
    (
        re.compile(r"\b((?:Bearer|Basic|Token)\s{1,32})[A-Za-z0-9._~+/\-]{8,}=*", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    # What Django signs (value:time:signature), as in links to unsubscribe. From the beginning of the
    # word only, or each of its letters would start another scan.
    (
        re.compile(
            r"(?<![A-Za-z0-9_\-])[A-Za-z0-9_\-]{4,4096}(?::|%3A)[A-Za-z0-9]{5,8}(?::|%3A)"
            r"[A-Za-z0-9_\-]{27,64}",
            re.IGNORECASE,
        ),
        HIDDEN,
    ),
    # Django's one-time links: a password reset has only this in its path.
    (re.compile(r"(?<![A-Za-z0-9])[a-z0-9]{6}-[a-f0-9]{32}(?![A-Za-z0-9])"), HIDDEN),
    # Parameters of URLs that open something, whatever they look like.
    (
        re.compile(
            r"([?&](?:token|code|state|hmac|sig|signature|signed|summary|verifier|pass|key|ticket)=)"
            r"(?!\[hidden\])[^&\s#\"'<>]{1,4096}",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    # The user name is optional: Redis URLs have only a password.
    (re.compile(r"(://[^\s:/@]*:)[^\s@/]+(@)"), rf"\1{HIDDEN}\2"),
    (_NAMED, rf"\1{HIDDEN}"),
    # Only from the start of a word, or after an @, and never back: every character is looked at
    # once. Otherwise each letter of a text without an @ would start another scan.
    (
        re.compile(
            r"(?:(?<![A-Za-z0-9._%+\-])|(?<=%40))(?:(?!%40)[A-Za-z0-9._%+\-])++(?:@|%40)"
            r"[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63}){1,32}"
        ),
        "[e-mail]",
    ),
    # International format, as Shopify and we write them; without the plus it could be any ID.
    (re.compile(r"(?<![\w+])\+[1-9](?:[\s().\-]{0,2}\d){7,14}(?!\d)"), "[phone]"),
    (
        re.compile(
            rf"(\bphone{_QUOTE}\s{{0,32}}[:=]\s{{0,32}}{_QUOTE})\+?\d[\d\s().\-]{{5,64}}\d",
            re.IGNORECASE,
        ),
        r"\1[phone]",
    ),
)


def mask(text: str) -> str:
    """Return the text with secrets and personal data replaced; masking it again changes nothing.

    Takes time proportional to the text's length, whatever it contains: anyone can send us text that
    ends up in a log.
    """
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return text


def shortened(text: str) -> str:
    """Return the text cut to about LONGEST characters, at a space: half a secret matches no
    pattern.
    """
    if len(text) <= LONGEST:
        return text
    end = max(text.rfind(space, 0, LONGEST) for space in " \n\t")
    return f"{text[: max(end, LONGEST - _LONGEST_WORD)]} [{len(text)} characters]"


class MaskingFilter(logging.Filter):
    """Mask message, traceback and stack before any formatter sees them; on every handler."""

    _formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the record in place, once however many handlers see it. Always keeps the record."""
        if getattr(record, "is_masked", False):
            return True
        try:
            record.msg, record.args = mask(shortened(record.getMessage())), None
        except (TypeError, ValueError):
            # Mismatched arguments: log the bare message; logging's own traceback would show their
            # values.
            record.msg, record.args = (
                f"{mask(shortened(str(record.msg)))} [arguments do not fit]",
                None,
            )
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = mask(_ends(self._formatter.formatException(record.exc_info)))
        if record.stack_info:
            record.stack_info = mask(_ends(record.stack_info))
        record.is_masked = True
        record.request_id = current_origin().request_id
        return True


# JSON leaves these as they are, and some programs end a line at them.
_LINE_ENDS: Final = {ord(sign): f"\\u{ord(sign):04x}" for sign in "\x7f\x85\u2028\u2029"}


class JsonFormatter(logging.Formatter):
    """Format a record as a JSON object on one line, in UTC, with the ID also sent as X-Request-ID."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := getattr(record, "request_id", ""):
            line["request_id"] = request_id
        if record.exc_info and not record.exc_text:
            record.exc_text = mask(_ends(self.formatException(record.exc_info)))
        if record.exc_text:
            line["traceback"] = record.exc_text
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line, ensure_ascii=False).translate(_LINE_ENDS)


def masked_event(event: object, hint: object = None) -> object:
    """Mask every text of a Sentry event and every value with a secret name (for before_send)."""
    if isinstance(event, dict):
        return {
            key: HIDDEN
            if isinstance(key, str) and SECRET_NAME.search(key) and isinstance(value, str)
            else masked_event(value)
            for key, value in event.items()
        }
    if isinstance(event, list | tuple):
        return [masked_event(value) for value in event]
    return mask(shortened(event)) if isinstance(event, str) else event


def _ends(trace: str) -> str:
    """Shorten a long traceback to its beginning and end: where it came from, and what it was."""
    if len(trace) <= 2 * LONGEST:
        return trace
    return f"{shortened(trace)}\n…\n{trace[-LONGEST:].partition(chr(10))[2]}"
