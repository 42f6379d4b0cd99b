"""The two OAuth views: redirect to Shopify's consent page, and accept its signed answer."""

from __future__ import annotations

import hmac
import logging
import re
import secrets
import time
from typing import Any, Final
from urllib.parse import urlencode

import shopify
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from core import queue
from core.encryption import UndecryptableSecret
from core.json_types import JsonObject
from orders import audit
from orders.models import AuditKind
from orders.models.stores import DOMAIN_PATTERN
from shopify_sync.api.errors import (
    NeedsAdmin,
    ShopifyError,
)
from shopify_sync.models import ConnectionMethod, ShopConnection
from shopify_sync.setup import (
    connect,
    doctor,
)
from shopify_sync.stores import tokens

logger = logging.getLogger(__name__)

SHOP: Final = re.compile(DOMAIN_PATTERN)
_SESSION: Final = "shopify_install"
_STATE_AGE_S: Final = 600
# How far Shopify's timestamp may lie in the past, and in the future in case our clock is slow.
_OLDEST_S: Final = 24 * 3600
_AHEAD_S: Final = 300


@require_GET
def install(request: HttpRequest) -> HttpResponse:
    """GET ?shop=: redirect to Shopify, where the merchant agrees.

    The store and its client ID must have been added in the admin. Answers 400 with the reason
    otherwise; raises PermissionDenied for anyone but an administrator.
    """
    _administrator(request)
    shop = request.GET.get("shop", "")
    row = _connection(shop)
    if row is None:
        return _problem(request, "First add the store and its app's client ID in the admin.")
    try:
        tokens.opened(row.api_secret)
    except NeedsAdmin as error:
        return _problem(request, str(error))
    state = secrets.token_urlsafe(32)
    request.session[_SESSION] = {"state": state, "shop": shop, "at": time.time()}
    params = {
        "client_id": row.client_id,
        "scope": ",".join(connect.SCOPES),
        "redirect_uri": connect.callback_address(),
        "state": state,
    }
    origin = f"https://{shop}"
    if settings.SHOPIFY_ADMIN_ORIGIN:
        # The practice store goes by the Host header, which we can't set for a browser.
        origin, params["shop"] = settings.SHOPIFY_ADMIN_ORIGIN, shop
    return HttpResponseRedirect(f"{origin}/admin/oauth/authorize?{urlencode(params)}")


@require_GET
def callback(request: HttpRequest) -> HttpResponse:
    """GET: accept Shopify's answer, if it has our state, Shopify's signature and the right shop.

    Exchanges the code for tokens, runs the doctor and starts the store's first back-fill. Raises
    PermissionDenied for anyone but an administrator.
    """
    _administrator(request)
    # Popped, because a state is good for one try.
    asked: JsonObject = request.session.pop(_SESSION, None) or {}
    row = _connection(str(asked.get("shop", "")))
    if row is None or (problem := _distrust(request, asked, row)):
        logger.warning("rejected an installation's response: %s", row and problem)
        return _problem(request, "This response doesn't belong to an installation started here.")
    try:
        tokens.exchange(row, request.GET["code"])
    except ShopifyError as error:
        return _problem(request, str(error))
    audit.record(AuditKind.STORE, actor=_administrator(request), after="installed", row=row.pk)
    for tick in doctor.examine(row.store, repair=True):
        if not tick.is_ok:
            messages.error(request, f"{tick.name}: {tick.todo}")
    queue.enqueue("shopify_sync.tasks.advance_backfill", connect.begin_sync(row.store).pk)
    messages.success(request, f"{row.store} is connected. Its orders are being read.")
    return HttpResponseRedirect(reverse("admin:shopify_sync_shopconnection_change", args=[row.pk]))


def _distrust(request: HttpRequest, asked: JsonObject, row: ShopConnection) -> str:
    """Return why an answer isn't believed, for the log; "" if it is."""
    given = request.GET
    if not _same(str(asked.get("state", "")), given.get("state", "")):
        return "state"
    if time.time() - float(asked.get("at", 0)) > _STATE_AGE_S:
        return "late"
    if given.get("shop") != asked["shop"]:
        return "shop"
    try:
        if not _is_signed(request, row):
            return "signature"
    except UndecryptableSecret:
        return "secret that cannot be decrypted"
    stamp = given.get("timestamp", "")
    age = (
        time.time() - int(stamp)
        if stamp.isascii() and stamp.isdigit() and len(stamp) < 13
        else -1e9
    )
    if not -_AHEAD_S < age < _OLDEST_S:
        return "timestamp"
    return "" if given.get("code", "").isascii() and given.get("code") else "code"


def _is_signed(request: HttpRequest, row: ShopConnection) -> bool:
    # One value per name: a repeated one could be read differently by us and by the signer.
    if any(len(values) != 1 for _name, values in request.GET.lists()):
        return False
    session: Any = type("_Session", (shopify.Session,), {"secret": row.api_secret.reveal()})
    wanted = session.calculate_hmac(dict(request.GET.items()))
    return _same(str(wanted), request.GET.get("hmac", ""))


def _same(ours: str, given: str) -> bool:
    return bool(ours) and hmac.compare_digest(ours.encode(), given.encode("utf-8", "replace"))


def _connection(shop: str) -> ShopConnection | None:
    if not SHOP.match(shop):
        return None
    rows = ShopConnection.objects.select_related("store").filter(method=ConnectionMethod.OAUTH)
    return rows.filter(store__domain=shop).first()


def _administrator(request: HttpRequest) -> Any:
    user = request.user
    if not (user.is_staff and user.has_perm("shopify_sync.change_shopconnection")):
        raise PermissionDenied
    return user


def _problem(request: HttpRequest, text: str) -> HttpResponse:
    return render(request, "shopify_sync/problem.html", {"text": text}, status=400)
