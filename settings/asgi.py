"""ASGI: event stream, webhooks and probes answered natively; Django's WSGI app on a thread pool
behind it.

So an open stream costs no thread and no database connection, and Django keeps its persistent
connections, which its own ASGI handler would not. A request gets a thread only once its whole body
is here, and leaves it before a slow client has read the response.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from wsgiref.util import FileWrapper

from a2wsgi import WSGIMiddleware
from django.conf import settings

from settings.wsgi import application as django_application

# isort: split
# Django is set up now, so modules that need its models can be imported.
from core.observability import probes
from core.server.asgi_types import Receive, Scope, Send
from core.server.bodies import WholeBodies
from inbox.live.stream import events
from shopify_sync.webhooks.receiver import PATH, Receiver

# Of a body, in bytes. The longest that people send is a message of 100,000 characters, escaped.
ANONYMOUS_MOST: Final = 64 * 1024
MOST: Final = 2 * 2**20
# How many pieces of a response may wait for a slow client before its thread does: more than our
# largest pages and files have.
_PIECES: Final = 4096


def body_limit(scope: Scope) -> int:
    """Return how many bytes a request's body may have.

    Who sends it is known only later, so the smaller limit is for requests that bring neither a
    cookie nor a token.
    """
    if scope["path"] == PATH:
        return settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 2**62
    names = {name for name, _value in scope["headers"]}
    return MOST if names & {b"authorization", b"cookie"} else ANONYMOUS_MOST


# Each piece of a response is handed from the thread to the event loop, which takes a while when
# both are busy; Django's own pieces of a file are 4 KB.
_FILE_PIECE_BYTES: Final = 128 * 1024


def _in_large_pieces(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Call Django (WSGI) with a file wrapper, which it uses for static files."""
    environ["wsgi.file_wrapper"] = lambda file, _size: FileWrapper(file, _FILE_PIECE_BYTES)
    return django_application(environ, start_response)


_django = WholeBodies(
    WSGIMiddleware(_in_large_pieces, workers=16, send_queue_size=_PIECES),
    body_limit,
)
_probes = probes.Probes()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Route webhooks, the event stream and the probes to their own apps, the rest to Django."""
    if scope["type"] == "lifespan":
        await _lifespan(scope, receive, send)
    elif scope["type"] != "http":
        return
    elif scope["path"] in probes.PATHS:
        await _probes(scope, receive, send)
    elif scope["path"] == PATH and scope["method"] == "POST" and "webhooks" in _state(scope):
        await scope["state"]["webhooks"](scope, receive, send)
    elif scope["path"] == "/events/":
        await events(scope, receive, send)
    else:
        await _django(scope, receive, send)


def _state(scope: Scope) -> dict[str, Receiver]:
    """Return what `_lifespan` set up; a server without lifespan leaves webhooks to Django's view."""
    state: dict[str, Receiver] = scope.get("state") or {}
    return state


async def _lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup" and "state" in scope:
            scope["state"]["webhooks"] = Receiver()
        elif message["type"] == "lifespan.shutdown" and "webhooks" in _state(scope):
            await scope["state"]["webhooks"].stop()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
