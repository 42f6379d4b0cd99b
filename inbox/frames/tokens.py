"""A frame's sealed tokens: a ten-minute pass, a window, and a summary to confirm.

They are encrypted and authenticated with a key derived from SECRET_KEY: the holder can neither
read nor change one, and one kind is never accepted as another.
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
# One working day, from the login on.
SEAT_S: Final = 8 * 3600
_STATUS: Final = {"ended": 401, "too_many": 429}


class FrameRefused(Exception):
    """A frame's request is refused. `code` is for the page, which has a sentence for each."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
        self.status = _STATUS.get(code, 403)


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """The customer whose orders a frame shows.

    `email` and `phone` are proven (inbox.contacts.proven_addresses), `claimed_…` were given without proof,
    and `unclear` could not be parsed. `about` holds numbers of orders the customer wrote about.
    `may_act`: the help desk has assigned the conversation to the agent, or has signed the address
    without naming an assignee.
    """

    email: str = ""
    phone: str = ""
    claimed_email: str = ""
    claimed_phone: str = ""
    unclear: str = ""
    about: str = ""
    may_act: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Which agent acts for which customer in which frame.

    `session_key` is the agent's session with us; if empty, the help desk vouches for the agent,
    since `opened_at` (a Unix timestamp).
    """

    frame_id: int
    agent_id: int
    session_key: str
    opened_at: int
    customer: Customer


def seal_pass(held: Pass) -> str:
    """Seal a pass that the frame's page sends as Authorization; valid for PASS_S seconds."""
    return _seal("pass", asdict(held))


def seal_seat(held: Pass) -> str:
    """Seal an agent's login in a frame, without its customer; valid for SEAT_S seconds.

    A help desk that builds a new frame for each conversation opens the next one with it.
    """
    return _seal("seat", asdict(replace(held, customer=Customer())))


def seal_window(held: Pass) -> str:
    """Seal a pass for the URL of a window; valid for WINDOW_S seconds. It carries no session,
    because the window has the agent's regular login."""
    return _seal("window", asdict(replace(held, session_key="")))


def seal_summary(token: str) -> str:
    """Seal a summary's token for use in a URL: it may contain a note, which must not end up in
    server logs."""
    return _seal("summary", {"token": token})


def open_summary(text: str) -> str:
    """Return the summary's token. Raises FrameRefused."""
    return str(_unseal("summary", text, WINDOW_S)["token"])


def open_pass(text: str) -> Pass:
    """Unseal a pass. Raises FrameRefused if it is forged or expired."""
    return _opened("pass", text, PASS_S)


def open_seat(text: str) -> Pass:
    """Unseal an agent's login in a frame. Raises FrameRefused if it is forged or expired."""
    return _opened("seat", text, SEAT_S)


def open_window(text: str) -> Pass:
    """Unseal a window's pass. Raises FrameRefused if it is forged or expired."""
    return _opened("window", text, WINDOW_S)


def _opened(kind: str, text: str, max_age_s: int) -> Pass:
    plain = _unseal(kind, text, max_age_s)
    try:
        return Pass(**(plain | {"customer": Customer(**plain["customer"])}))
    except TypeError as error:
        # Sealed by a release with different fields.
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
