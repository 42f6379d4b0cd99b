"""The event stream answered natively; Django's WSGI app on a thread pool behind it.

An open stream then costs no thread and no database connection, and Django keeps its
persistent ones, which its own ASGI handler would not.
"""

from __future__ import annotations

from typing import Any

from a2wsgi import WSGIMiddleware

from settings.wsgi import application as django_application

_django: Any = WSGIMiddleware(django_application, workers=16)  # type: ignore[arg-type]  # an HttpResponse is iterable


async def application(scope: Any, receive: Any, send: Any) -> None:
    from inbox.live import events

    if scope["type"] == "http" and scope["path"] == "/events/":
        await events(scope, receive, send)
    elif scope["type"] == "http":
        await _django(scope, receive, send)
    elif scope["type"] == "lifespan":
        await _lifespan(receive, send)


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
