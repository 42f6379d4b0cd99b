"""The log-in, where it is met by a part of a page, or in a window that a frame has opened."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.urls import reverse


class LogInForFragments:
    """htmx would put the log-in form where the fragment belongs; this sends the browser there,
    and back to the page it was on. What was not confirmed was not sent, and is asked again."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        log_in = resolve_url(settings.LOGIN_URL)
        is_redirect = response.status_code == 302 and urlsplit(response["Location"]).path == log_in
        if not is_redirect or not request.headers.get("HX-Request"):
            return response
        # Only the path: a foreign address in the header must not become the way back.
        here = urlsplit(request.headers.get("HX-Current-URL", "")).path or "/"
        target = f"{log_in}?{urlencode({'next': here})}"
        return HttpResponse(status=204, headers={"HX-Redirect": target})


class WindowsOfTheSidebar:
    """The window in which an agent connects the sidebar has to reach the frame that opened it,
    to hand it the code. The default Cross-Origin-Opener-Policy cuts that tie, at the log-in on
    the way already."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        connect = reverse("sidebar:connect")
        wanted = (
            request.GET.get("next", "")
            if request.path == resolve_url(settings.LOGIN_URL)
            else request.path
        )
        if urlsplit(wanted).path == connect:
            response["Cross-Origin-Opener-Policy"] = "unsafe-none"
        return response
