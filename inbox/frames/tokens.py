"""The sealed papers of a frame: a pass of ten minutes, a window, a summary to confirm.

Encrypted and authenticated with a key made of SECRET_KEY: whoever holds one can neither read
nor change it, and one kind is never taken for another.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.utils.crypto import salted_hmac

PASS_S: Final = 600
WINDOW_S: Final = 1800
_STATUS: Final = {"ended": 401, "too_many": 429}


class FrameRefused(Exception):
    """`code` is for the page, which has a sentence for each."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
        self.status = _STATUS.get(code, 403)


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """Whose orders. `email` and `phone` are proven (inbox.contacts.senders); `claimed_…` are what was given
    without proof, `unclear` what could not be read. `about`: numbers of orders they wrote of.
    `may_act`: row F28, as the help desk tells it."""

    email: str = ""
    phone: str = ""
    claimed_email: str = ""
    claimed_phone: str = ""
    unclear: str = ""
    about: str = ""
    may_act: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """`session_key` "": the help desk vouches for the agent, since `opened_at` (Unix)."""

    frame_id: int
    agent_id: int
    session_key: str
    opened_at: int
    customer: Customer


def seal_pass(held: Pass) -> str:
    return _seal("pass", asdict(held))


def seal_window(held: Pass) -> str:
    return _seal("window", asdict(replace(held, session_key="")))


def seal_summary(token: str) -> str:
    """A summary's token for an address: it may hold a note, which no server log should have."""
    return _seal("summary", {"token": token})


def open_summary(text: str) -> str:
    """Raises FrameRefused."""
    return str(_unseal("summary", text, WINDOW_S)["token"])


def open_pass(text: str) -> Pass:
    """Raises FrameRefused."""
    return _opened("pass", text, PASS_S)


def open_window(text: str) -> Pass:
    """Raises FrameRefused."""
    return _opened("window", text, WINDOW_S)


def _opened(kind: str, text: str, max_age_s: int) -> Pass:
    plain = _unseal(kind, text, max_age_s)
    try:
        return Pass(**(plain | {"customer": Customer(**plain["customer"])}))
    except TypeError as error:
        # Sealed by the version before this one.
        raise FrameRefused("ended") from error


def _seal(kind: str, plain: dict[str, Any]) -> str:
    return _box().encrypt(json.dumps({"kind": kind, "plain": plain}).encode()).decode()


def _unseal(kind: str, text: str, max_age_s: int) -> dict[str, Any]:
    try:
        found = json.loads(_box().decrypt(text.encode(), ttl=max_age_s))
    except (InvalidToken, UnicodeEncodeError) as error:
        raise FrameRefused("ended") from error
    if found["kind"] != kind:
        raise FrameRefused("ended")
    plain: dict[str, Any] = found["plain"]
    return plain


def _box() -> MultiFernet:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    made = [salted_hmac("inbox.frames", "pass", secret=k, algorithm="sha256") for k in keys]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key.digest())) for key in made])
