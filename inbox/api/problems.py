"""Errors as application/problem+json (RFC 9457): a stable `type`, and a sentence on what to do."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import exception_handler as default_handler

from inbox.accounts.login import reauthentication
from inbox.api import parsers
from orders.errors import Refusal


def problem(kind: str, title: str, *, code: int, detail: str = "", **more: object) -> Response:
    """Build a problem response; `more` adds members to its body."""
    body = {"type": f"urn:agent-inbox:{kind}", "title": title, "status": code, **more}
    if detail:
        body["detail"] = detail
    return Response(body, status=code, content_type="application/problem+json")


def refused(refusal: Refusal, *, code: int = status.HTTP_409_CONFLICT, **more: object) -> Response:
    """Build the response to a refused action, in the same words as on the page."""
    return problem(
        "refused",
        refusal.reason,
        code=code,
        detail=refusal.hint,
        reason_code=refusal.code,
        **more,
    )


def prove_again(request: Request) -> Response | None:
    """Build the response to a session whose proof of who is there is too old; None if it is fresh.

    A token has no one to ask; what it may do was decided when it was made.
    """
    by_session = isinstance(request.successful_authenticator, SessionAuthentication)
    if not by_session or not reauthentication.is_due(request._request):
        return None
    return problem(
        "reauthentication-required",
        "Confirm that it’s you first.",
        code=403,
        detail="Open /account/confirm/ in this browser, confirm, and send the request again.",
    )


def exception_handler(error: Exception, context: dict[str, object]) -> Response | None:
    """Turn REST framework's errors into problems, keeping the headers that clients need."""
    if isinstance(error, exceptions.ValidationError):
        return problem(
            "invalid",
            "The request isn't valid.",
            code=400,
            errors=error.detail,
            detail="Correct the fields listed in `errors` and send the request again.",
        )
    if isinstance(error, exceptions.ParseError):
        detail = str(error.detail) if error.get_codes() == parsers.NOT_PLAIN else ""
        return problem("malformed", "The body isn't valid JSON.", code=400, detail=detail)
    if isinstance(error, RequestDataTooBig):
        return problem("too-large", "The body is too large.", code=413)
    response = default_handler(error, context)
    if response is None:
        return None
    if isinstance(error, Http404 | exceptions.NotFound):
        answer = problem("not-found", "We couldn’t find that.", code=404)
    elif isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        answer = problem("unauthenticated", str(error.detail), code=response.status_code)
    elif isinstance(error, PermissionDenied | exceptions.PermissionDenied):
        answer = problem(
            "forbidden", "You don't have permission to do that.", code=403, detail=_why(error)
        )
    elif isinstance(error, exceptions.Throttled):
        answer = problem(
            "too-many-requests",
            "Too many requests in this minute.",
            code=429,
            detail="Wait as many seconds as Retry-After says.",
        )
    else:
        answer = problem("error", str(getattr(error, "detail", error)), code=response.status_code)
    for name, value in response.headers.items():
        if name.lower() in {"www-authenticate", "retry-after", "allow"}:
            answer[name] = value
    return answer


def _why(error: Exception) -> str:
    """Return what a permission says about its refusal; "" if it says nothing of its own."""
    detail = str(getattr(error, "detail", ""))
    return "" if detail == exceptions.PermissionDenied.default_detail else detail
