"""Pages that are sent in two parts, so that the first is read while the second is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.safestring import SafeString, mark_safe

# Stands in the page where the late part goes; no page holds a NUL otherwise.
MARK: Final[SafeString] = mark_safe("\x00late\x00")


def in_two_parts(request: HttpRequest, page: str, late: Callable[[], str]) -> HttpResponseBase:
    """`page` with MARK replaced by what `late` gives; whole where the server is not our own
    (settings.asgi), which alone is known to send each part at once.

    `late` must not raise: the answer has begun when it runs. It runs in the request's thread.
    """
    # The last one: the messages before it are other people's words.
    before, _mark, after = page.rpartition(MARK)
    if "asgi.scope" not in request.META:
        return HttpResponse(before + late() + after)

    def parts() -> Iterator[str]:
        yield before
        yield late() + after

    return StreamingHttpResponse(parts())
