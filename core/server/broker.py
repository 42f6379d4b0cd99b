"""A broker that goes away while a worker is busy must not take the worker with it.

kombu's Redis channel, once its connection is closed, answers whoever still acknowledges or gives
back a message by it with an AttributeError. Celery expects an error of the connection there, which
it logs and survives; anything else ends the worker. The message itself is not lost: it is given
out again, and the rows behind it are found by the sweeps.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis as transport
from redis.exceptions import ConnectionError as BrokerGone

# Not in its published types.
_channel: Any = transport.Channel
_real: Any = _channel._connparams


def survive_its_loss() -> None:
    """May be called again."""
    _channel._connparams = _connparams


def _connparams(self: Any, *words: Any, **more: Any) -> Any:
    if self.connection is None or self.connection.client is None:
        raise BrokerGone("the connection of this channel is closed")
    return _real(self, *words, **more)
