"""A single-file Django project with `startproject`'s middleware and persistent connections.

`orm` is a view that checks the signature and creates a row; `package` does the same with
django-shopify-webhook's decorator, as its README shows. Served as WSGI on a2wsgi's thread pool
under uvicorn, as our own pages are.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
from typing import TYPE_CHECKING, Any

import django
from a2wsgi import WSGIMiddleware
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import IntegrityError, models
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from settings import env

if TYPE_CHECKING:
    from core.server.asgi_types import Receive, Scope, Send

SECRET = os.environ["BENCH_SECRET"]

settings.configure(
    SECRET_KEY="bench",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    SHOPIFY_APP_API_SECRET=SECRET,
    DATABASES={"default": env.database("BENCH_DATABASE_URL", "")},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
)
django.setup()


class Webhook(models.Model):
    """A stored delivery, in the table that all peers share."""

    shop = models.CharField(max_length=100)
    webhook_id = models.CharField(max_length=100)
    topic = models.CharField(max_length=100)
    body = models.BinaryField()

    class Meta:
        app_label = "bench"
        db_table = "webhooks"
        constraints = [models.UniqueConstraint(fields=["shop", "webhook_id"], name="once")]

    def __str__(self) -> str:
        return self.webhook_id


@csrf_exempt
@require_POST
def with_orm(request: HttpRequest) -> HttpResponse:
    """Check the signature and create a row."""
    digest = hmac.digest(SECRET.encode(), request.body, hashlib.sha256)
    given = request.headers.get("X-Shopify-Hmac-Sha256", "")
    if not hmac.compare_digest(base64.b64encode(digest).decode(), given):
        return HttpResponse(status=401)
    return _keep(request)


def _keep(request: HttpRequest) -> HttpResponse:
    with contextlib.suppress(IntegrityError):
        Webhook._default_manager.create(
            shop=request.headers["X-Shopify-Shop-Domain"],
            webhook_id=request.headers["X-Shopify-Webhook-Id"],
            topic=request.headers["X-Shopify-Topic"],
            body=request.body,
        )
    return HttpResponse(status=200)


urlpatterns = [path("orm", with_orm)]
try:
    from shopify_webhook.decorators import webhook
except ImportError:
    pass
else:
    urlpatterns.append(path("package", csrf_exempt(webhook(_keep))))

# a2wsgi's types describe PEP 3333 more narrowly than Django's do.
_wsgi: Any = get_wsgi_application()
_django: Any = WSGIMiddleware(_wsgi, workers=16)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Pass HTTP requests to Django's WSGI app."""
    if scope["type"] == "http":
        await _django(scope, receive, send)
