"""Shopify's door: verify the raw bytes, store, answer 200. Nothing else happens here."""

from __future__ import annotations

import logging
from typing import Final

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from shopify_sync.models import ShopConnection, WebhookEvent
from shopify_sync.signing import is_signed

logger = logging.getLogger(__name__)

_HEADER_LENGTH: Final = 100


@csrf_exempt  # signed instead
@login_not_required  # Shopify has no session
@require_POST
def receive_webhook(request: HttpRequest) -> HttpResponse:
    """One delivery. 200 only after it is committed; 401 unless a connected shop's secret signed
    these bytes; 503 when it cannot be stored, so that Shopify sends it again."""
    try:
        body = request.body
    except RequestDataTooBig:
        return HttpResponse(status=413)
    except UnreadablePostError:
        return HttpResponse(status=400)
    try:
        return _receive(request, body)
    except DatabaseError:
        logger.exception("a webhook could not be stored")
        return HttpResponse(status=503)


def _receive(request: HttpRequest, body: bytes) -> HttpResponse:
    domain = _header(request, "X-Shopify-Shop-Domain")
    connection = ShopConnection.objects.select_related("store").filter(store__domain=domain).first()
    signature = request.headers.get("X-Shopify-Hmac-Sha256", "")
    # The body alone is signed: the domain only chooses whose secret to try.
    if connection is None or not is_signed(body, signature, connection.secrets):
        return HttpResponse(status=401)
    webhook_id = _header(request, "X-Shopify-Webhook-Id")
    topic = _header(request, "X-Shopify-Topic")
    if not webhook_id or not topic:
        return HttpResponse("X-Shopify-Webhook-Id or X-Shopify-Topic is missing", status=400)
    try:
        with transaction.atomic():
            event = WebhookEvent.objects.create(
                store=connection.store,
                webhook_id=webhook_id,
                event_id=_header(request, "X-Shopify-Event-Id"),
                topic=topic,
                api_version=_header(request, "X-Shopify-API-Version")[:20],
                triggered_at=_header(request, "X-Shopify-Triggered-At")[:40],
                body=body,
            )
            transaction.on_commit(lambda: _wake(event.pk), robust=True)
    except IntegrityError:
        return HttpResponse("known", content_type="text/plain")
    return HttpResponse("stored", content_type="text/plain")


def _wake(event_id: int) -> None:
    from shopify_sync.tasks import process_webhook, ring

    ring(process_webhook, [event_id])


def _header(request: HttpRequest, name: str) -> str:
    """A header as printable text of bounded length; anything else is as good as absent."""
    value = request.headers.get(name, "")
    return value if len(value) <= _HEADER_LENGTH and value.isprintable() else ""
