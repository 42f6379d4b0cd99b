"""ASGI: event stream and webhooks answered natively; Django's WSGI app on a thread pool behind it.

So an open stream costs no thread and no database connection, and Django keeps its persistent
connections, which its own ASGI handler would not.
"""

from __future__ import annotations

from typing import Any

from a2wsgi import WSGIMiddleware

from settings.wsgi import application as django_application

# isort: split
# Django is set up now, so modules that need its models can be imported.
from inbox.live.stream import events
from shopify_sync.webhooks.receiver import PATH, Receiver

_django: Any = WSGIMiddleware(django_application, workers=16)  # type: ignore[arg-type]  # an HttpResponse is iterable


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Route webhooks and the event stream to their own apps, everything else to Django."""
    if scope["type"] == "lifespan":
        await _lifespan(scope, receive, send)
    elif scope["type"] != "http":
        return
    elif scope["path"] == PATH and scope["method"] == "POST" and "webhooks" in _state(scope):
        await scope["state"]["webhooks"](scope, receive, send)
    elif scope["path"] == "/events/":
        await events(scope, receive, send)
    else:
        await _django(scope, receive, send)


def _state(scope: Any) -> dict[str, Any]:
    """Return what `_lifespan` set up; a server without lifespan leaves webhooks to Django's view."""
    state: dict[str, Any] = scope.get("state") or {}
    return state


async def _lifespan(scope: Any, receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup" and "state" in scope:
            scope["state"]["webhooks"] = Receiver()
        elif message["type"] == "lifespan.shutdown" and "webhooks" in _state(scope):
            await scope["state"]["webhooks"].stop()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
