"""Pages that are sent in two parts, so that the first is read while the second is computed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.safestring import SafeString, mark_safe

# Stands in the page where the late part goes; no page holds a NUL otherwise.
MARK: Final[SafeString] = mark_safe("\x00late\x00")


def in_two_parts(request: HttpRequest, page: str, late: Callable[[], str]) -> HttpResponseBase:
    """`page` with MARK replaced by what `late` gives. Under WSGI, which would wait anyway, whole.

    `late` must not raise: the answer has begun when it runs.
    """
    # The last one: the messages before it are other people's words.
    before, _mark, after = page.rpartition(MARK)
    if not isinstance(request, ASGIRequest):
        return HttpResponse(before + late() + after)

    async def parts() -> AsyncIterator[str]:
        yield before
        yield await sync_to_async(late)() + after

    return StreamingHttpResponse(parts())
