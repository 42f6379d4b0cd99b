"""What holds for every response: nothing is kept in caches, browsers grant pages no powers, and
pages know no methods but GET, HEAD and POST.

The default is closed, so no view has to remember it: only responses that say themselves that they
are public, as static files do, may be cached.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed

# What pages don't use is off. Copying and passkeys are for our own pages.
_OFF: Final = (
    "accelerometer",
    "autoplay",
    "browsing-topics",
    "camera",
    "display-capture",
    "encrypted-media",
    "fullscreen",
    "geolocation",
    "gyroscope",
    "hid",
    "idle-detection",
    "local-fonts",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "picture-in-picture",
    "screen-wake-lock",
    "serial",
    "usb",
    "xr-spatial-tracking",
)
_OWN: Final = ("clipboard-write", "publickey-credentials-create", "publickey-credentials-get")
_POLICY: Final = ", ".join([*(f"{name}=()" for name in _OFF), *(f"{n}=(self)" for n in _OWN)])

ALWAYS: Final = {
    "Permissions-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
# For responses that don't pass through Django's middleware.
ALWAYS_RAW: Final = [
    (name.lower().encode(), value.encode())
    for name, value in {**ALWAYS, "Cache-Control": "no-store"}.items()
]


class ResponseHeaders:
    """Middleware, outermost: set ALWAYS and forbid storing anything that isn't marked public.

    A view's own values win, except that a cacheable response must say `public`.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        for name, value in ALWAYS.items():
            response.headers.setdefault(name, value)
        kept = response.get("Cache-Control", "")
        if "public" not in kept and "no-store" not in kept:
            response["Cache-Control"] = "no-store"
        return response


class KnownMethods:
    """Middleware: answer 405 to methods that no page has, so that no view takes one for a GET.

    The REST API has its own list for each endpoint.
    """

    _PAGES: Final = ("GET", "HEAD", "POST")
    _API: Final = "/api/v1/"

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method in self._PAGES or request.path_info.startswith(self._API):
            return self._get_response(request)
        return HttpResponseNotAllowed(self._PAGES)
