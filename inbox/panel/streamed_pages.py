"""Pages sent in two parts, so that the browser shows the first while the second is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.safestring import SafeString, mark_safe

# Marks where the late part goes; NUL occurs nowhere else in a page.
MARK: Final[SafeString] = mark_safe("\x00late\x00")


def in_two_parts(request: HttpRequest, page: str, late: Callable[[], str]) -> HttpResponseBase:
    """Respond with `page`, replacing MARK by the result of `late`.

    Streams only under our own server (settings.asgi), the only one known to flush each part
    immediately; elsewhere the page is sent whole. `late` must not raise, because the response has
    started when it runs. It runs in the request's thread.
    """
    # The last occurrence: messages earlier in the page are untrusted text.
    before, _mark, after = page.rpartition(MARK)
    if "asgi.scope" not in request.META:
        return HttpResponse(before + late() + after)

    def parts() -> Iterator[str]:
        yield before
        yield late() + after

    return StreamingHttpResponse(parts())
