"""Probes: is the process alive, may it be sent traffic."""

from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.http import HttpRequest, HttpResponse


@login_not_required  # a probe has no session
def livez(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok", content_type="text/plain")


@login_not_required  # a probe has no session
def readyz(request: HttpRequest) -> HttpResponse:
    """200 once the database answers; an exception is a 500, which is the point."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("ready", content_type="text/plain")
