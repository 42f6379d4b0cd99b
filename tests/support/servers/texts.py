"""An SMS provider that records what it was given."""

from __future__ import annotations

from inbox.channels.errors import NotSent

SENT: list[tuple[str, str, str]] = []


class Kept:
    def send(self, *, to: str, text: str, message_id: str) -> None:
        SENT.append((to, text, message_id))


class Busy:
    def send(self, *, to: str, text: str, message_id: str) -> None:
        raise NotSent("The provider is busy.")


class Broken:
    def send(self, *, to: str, text: str, message_id: str) -> None:
        raise KeyError(to)


KEPT = f"{__name__}.Kept"
BUSY = f"{__name__}.Busy"
BROKEN = f"{__name__}.Broken"
