"""The unsubscribe page, for customers and for the button of their mail program (RFC 8058)."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from inbox.suppression import opt_outs


# Customers have no login, and a mail program has no cookie, only its signed link.
@login_not_required
@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Show a button on GET; only POST unsubscribes, because link scanners follow every GET."""
    if not opt_outs.is_token(token):
        raise Http404
    if request.method == "POST":
        opt_outs.record(token)
    return render(request, "inbox/unsubscribe.html", {"is_done": request.method == "POST"})
