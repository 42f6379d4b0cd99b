"""Outgoing channels: one module per kind, each with `send(message)`.

`send` returns once the other side has accepted the message, and raises NotSent otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from inbox.channels import api, email
from inbox.models import ChannelKind, Message

SENDERS: Final[dict[str, Callable[[Message], None]]] = {
    ChannelKind.API: api.send,
    ChannelKind.EMAIL: email.send,
}
