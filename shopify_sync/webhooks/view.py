"""The webhook endpoint for servers without ASGI: verify the raw bytes, store them, answer 200.

receiver.py is the fast one; both follow the same rules and pass the same tests.
"""

from __future__ import annotations

import logging

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from core import queue
from shopify_sync.webhooks import (
    counters,
    storage,
)
from shopify_sync.webhooks.delivery import (
    Answer,
    Delivery,
    Keys,
    header_text,
)
from shopify_sync.webhooks.secrets import read_keys
from shopify_sync.webhooks.signing import is_signed

logger = logging.getLogger(__name__)


@csrf_exempt  # signed instead
@login_not_required  # Shopify has no session
@require_POST
def receive_webhook(request: HttpRequest) -> HttpResponse:
    """POST: store one delivery.

    Answers 200 only once it's committed, 401 unless a connected shop's secret signed these exact
    bytes, and 503 if it cannot be stored, so that Shopify delivers it again.
    """
    answer, store_id, is_counted = _receive(request)
    if not is_counted:
        counters.count(store_id, answer.column, now=timezone.now())
    if counters.flush_due():
        counters.flush()
    response = HttpResponse(content_type="text/plain", status=answer.status)
    response["X-Webhook"] = answer.text
    if answer is Answer.UNAVAILABLE:
        response["Retry-After"] = "5"
    return response


def _receive(request: HttpRequest) -> tuple[Answer, int | None, bool]:
    """Return the answer, the store's ID if known, and whether `storage` has counted it already."""
    try:
        body = request.body
    except RequestDataTooBig:
        return Answer.TOO_LARGE, None, False
    except UnreadablePostError:
        return Answer.BROKEN_OFF, None, False
    domain = _header(request, "X-Shopify-Shop-Domain")
    try:
        keys = read_keys([domain])[domain]
    except DatabaseError:
        logger.exception("could not read the webhook secrets")
        return Answer.UNAVAILABLE, None, False
    if keys is None:
        return Answer.UNAVAILABLE, None, False
    # Only the body is signed; the domain header merely selects whose secret to try.
    signature = request.headers.get("X-Shopify-Hmac-Sha256", "")
    if keys.store_id is None or not is_signed(body, signature, keys.secrets):
        return Answer.UNAUTHORIZED, keys.store_id, False
    delivery = _delivery(request, keys.store_id, keys, body)
    if delivery is None:
        return Answer.MALFORMED, keys.store_id, False
    (answer,) = storage.store([delivery], now=timezone.now())
    if answer is Answer.STORED and delivery.is_heard:
        transaction.on_commit(
            lambda: queue.enqueue("shopify_sync.tasks.process_webhooks"), robust=True
        )
    return answer, keys.store_id, True


def _delivery(request: HttpRequest, store_id: int, keys: Keys, body: bytes) -> Delivery | None:
    webhook_id = _header(request, "X-Shopify-Webhook-Id")
    topic = _header(request, "X-Shopify-Topic")
    if not webhook_id or not topic:
        return None
    return Delivery(
        store_id,
        keys.is_active,
        webhook_id,
        _header(request, "X-Shopify-Event-Id"),
        topic,
        _header(request, "X-Shopify-API-Version")[:20],
        _header(request, "X-Shopify-Triggered-At")[:40],
        body,
    )


def _header(request: HttpRequest, name: str) -> str:
    return header_text(request.headers.get(name, ""))
