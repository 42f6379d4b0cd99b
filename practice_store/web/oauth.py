"""A shop's side of OAuth: the consent page, the code, and tokens that expire and rotate."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from datetime import datetime, timedelta
from html import escape
from typing import Final
from urllib.parse import urlencode

from core.json_types import JsonObject
from practice_store.state import Shop

TOKEN_AGE_S: Final = 3600
DAY_S: Final = 86399
CODE_AGE_S: Final = 600
_codes: Final[dict[str, tuple[str, float]]] = {}
Answer = tuple[int, JsonObject]


def consent_page(shop: Shop, query: dict[str, str]) -> bytes:
    """GET /admin/oauth/authorize: the page where the merchant agrees with a click."""
    fields = "".join(
        f'<input type="hidden" name="{escape(k)}" value="{escape(v)}">' for k, v in query.items()
    )
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Install app</title>
<h1>Install the app on {escape(shop.domain)}?</h1><p>It asks for: {escape(query.get("scope", ""))}</p>
<form method="post" action="/admin/oauth/authorize">{fields}<button>Install app</button></form>
</html>""".encode()


def redirect(shop: Shop, form: dict[str, str]) -> str | None:
    """Return the signed URL to go to after consent; None for another app's client ID."""
    if form.get("client_id") != shop.client_id or not form.get("redirect_uri"):
        return None
    code = secrets.token_hex(16)
    _codes[code] = (shop.domain, time.time())
    query = {
        "code": code,
        "shop": shop.domain,
        "state": form.get("state", ""),
        "timestamp": str(int(time.time())),
    }
    message = "&".join(f"{key}={query[key]}" for key in sorted(query))
    query["hmac"] = hmac.new(shop.secret.encode(), message.encode(), hashlib.sha256).hexdigest()
    return f"{form['redirect_uri']}?{urlencode(query)}"


def token(shop: Shop, data: JsonObject, now: datetime) -> Answer:
    """POST /admin/oauth/access_token: grant by code, client credentials or refresh token."""
    if data.get("client_id") != shop.client_id or data.get("client_secret") != shop.secret:
        return 401, {"error": "invalid_client"}
    grant = data.get("grant_type") or ("authorization_code" if data.get("code") else "")
    if grant == "client_credentials":
        if not shop.is_installed:
            return 400, {"error": "app_not_installed"}
        return 200, _granted(shop, now, DAY_S)
    if grant == "authorization_code":
        domain, at = _codes.pop(str(data.get("code")), ("", 0.0))
        if domain != shop.domain or time.time() - at > CODE_AGE_S:
            return 400, {"error": "invalid_request", "error_description": "The code is not valid"}
        shop.is_installed = True
        if str(data.get("expiring", "")) not in {"1", "true"}:
            return 200, {"access_token": shop.token, "scope": ",".join(shop.scopes)}
        return 200, _granted(shop, now, TOKEN_AGE_S) | _renewable(shop, "")
    if grant == "refresh_token":
        given = str(data.get("refresh_token"))
        if given not in shop.refreshes or not shop.is_installed:
            return 400, {"error": "invalid_grant"}
        # As at Shopify, a refresh token stays valid until its successor is used for the first time.
        shop.refreshes.pop(shop.refreshes[given], None)
        return 200, _granted(shop, now, TOKEN_AGE_S) | _renewable(shop, given)
    return 400, {"error": "unsupported_grant_type"}


def is_valid(shop: Shop, given: str, now: datetime) -> bool:
    """Return whether this access token opens the shop's API now."""
    if not shop.is_installed:
        return False
    ends = shop.issued.get(given)
    return given == shop.token or (ends is not None and now < ends)


def _granted(shop: Shop, now: datetime, age_s: int) -> JsonObject:
    fresh = f"shpat_{secrets.token_hex(16)}"
    shop.issued[fresh] = now + timedelta(seconds=age_s)
    return {"access_token": fresh, "scope": ",".join(shop.scopes), "expires_in": age_s}


def _renewable(shop: Shop, replaced: str) -> JsonObject:
    fresh = f"shprt_{secrets.token_hex(16)}"
    shop.refreshes[fresh] = replaced
    return {"refresh_token": fresh, "refresh_token_expires_in": 7776000}
