"""The ways out: one module a kind, each with send(channel, to, subject, text, message_id).

`send` returns when the other side took it and raises NotSent otherwise.
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
