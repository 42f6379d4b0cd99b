"""Nothing secret and nothing of a customer's leaves by a log line or an error report.

Two nets: names whose values are never shown, and the shapes of tokens, keys, addresses and
numbers wherever they stand in a text. What is hidden is marked, so that a reader knows.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from core.request_id import current_origin

HIDDEN: Final = "[hidden]"
# Characters of a message, a traceback or a value that a log or a report keeps.
LONGEST: Final = 16_384
# No secret is longer: so much goes at most where a text is cut.
_LONGEST_WORD: Final = 1024
# Names of headers, parameters, settings and variables whose value is nobody's business.
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
# A quote may have been escaped on its way: by repr, by JSON, by HTML.
_QUOTE: Final = r"""(?:\\*["']|&quot;|&\#x27;|&\#39;|%22)*"""
# name: value, name=value, ("name", b"value"); not again what was hidden before.
_NAMED: Final = re.compile(
    rf"""((?<![A-Za-z])(?:HTTP_)?(?:{_NAMES}){_QUOTE}\s*(?:[:=]|,\s*(?=b?["'\\&]))\s*"""
    rf"""(?:b(?=["'\\&]))?{_QUOTE})"""
    r"""(?!(?:(?:Bearer|Basic|Token)\s+)?\[hidden\])(?:(?:Bearer|Basic|Token)\s+)?"""
    r"""[^\s"'&,;<>(){}\\]{3,}""",
    re.IGNORECASE,
)
_SHAPES: Final[tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]] = (
    (re.compile(r"\b(shp[a-z]{2,4}_)[A-Za-z0-9_\-]{6,}"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(axk_)[A-Za-z0-9]+_[A-Za-z0-9]+"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(whsec_)[A-Za-z0-9+/=]+"), rf"\1{HIDDEN}"),
    # A Fernet token: what is encrypted stays in the database.
    (re.compile(r"\bgAAAA[A-Za-z0-9_\-]{20,}={0,2}"), HIDDEN),
    (
        re.compile(r"\b((?:Bearer|Basic|Token)\s+)[A-Za-z0-9._~+/\-]{8,}=*", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    # Redis has a password without a name.
    (re.compile(r"(://[^\s:/@]*:)[^\s@/]+(@)"), rf"\1{HIDDEN}\2"),
    (_NAMED, rf"\1{HIDDEN}"),
    # Bounded: without an @ every letter would begin another search to the end of the text.
    (
        re.compile(
            r"[A-Za-z0-9._%+\-]{1,64}(?:@|%40)[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63}){1,32}"
        ),
        "[e-mail]",
    ),
    # International, as Shopify and we write them; without the plus it could be any id.
    (re.compile(r"(?<![\w+])\+[1-9](?:[\s().\-]{0,2}\d){7,14}(?!\d)"), "[phone]"),
    (
        re.compile(rf"(\bphone{_QUOTE}\s*[:=]\s*{_QUOTE})\+?\d[\d\s().\-]{{5,}}\d", re.IGNORECASE),
        r"\1[phone]",
    ),
)


def mask(text: str) -> str:
    """The text without what must not be in it. Masking it again changes nothing.

    Takes time in proportion to the text's length, whatever stands in it: anybody may send us
    what ends in a log.
    """
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return text


def shortened(text: str) -> str:
    """The text, or its beginning; whole words only, as half a secret has no shape to go by."""
    if len(text) <= LONGEST:
        return text
    end = max(text.rfind(space, 0, LONGEST) for space in " \n\t")
    return f"{text[: max(end, LONGEST - _LONGEST_WORD)]} [{len(text)} characters]"


class MaskingFilter(logging.Filter):
    """On every handler: message, traceback and stack are masked before anything formats them."""

    _formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "is_masked", False):
            return True
        try:
            record.msg, record.args = mask(shortened(record.getMessage())), None
        except (TypeError, ValueError):
            # Arguments that do not fit: the words alone, rather than a traceback that shows them.
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


class JsonFormatter(logging.Formatter):
    """One object a line, in UTC, with the request's id, which the answer's header also has."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
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
        return json.dumps(line, ensure_ascii=False)


def masked_event(event: Any, hint: Any = None) -> Any:
    """Sentry's before_send: every text of the event, and every value of a secret name."""
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
    """A traceback's beginning and end: where it came from, and what it was."""
    if len(trace) <= 2 * LONGEST:
        return trace
    return f"{shortened(trace)}\n…\n{trace[-LONGEST:].partition(chr(10))[2]}"
