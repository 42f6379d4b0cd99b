"""Keep a worker alive when its broker goes away while it is busy.

Once its connection is closed, kombu's Redis channel raises an AttributeError for any later
acknowledgment or rejection. Celery expects a connection error there, which it logs and survives;
anything else ends the worker. The message itself isn't lost: it is redelivered, and the sweeps find
the rows behind it.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis as transport
from redis.exceptions import ConnectionError as BrokerGone

# Missing from kombu's published types.
_channel: Any = transport.Channel
_real: Any = _channel._connparams


def survive_its_loss() -> None:
    """Patch kombu's Redis channel to raise a connection error; calling it again is harmless."""
    _channel._connparams = _connparams


def _connparams(self: Any, *args: object, **kwargs: object) -> object:
    if self.connection is None or self.connection.client is None:
        raise BrokerGone("the connection of this channel is closed")
    return _real(self, *args, **kwargs)
