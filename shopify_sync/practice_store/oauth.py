"""OAuth as a shop does it: the consent page, the code, tokens that expire and rotate."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from html import escape
from typing import Any, Final
from urllib.parse import urlencode

from shopify_sync.practice_store.state import Shop

TOKEN_AGE_S: Final = 3600
CODE_AGE_S: Final = 600
_codes: Final[dict[str, tuple[str, float]]] = {}
_refresh_tokens: Final[dict[str, str]] = {}
Answer = tuple[int, dict[str, Any]]


def consent_page(shop: Shop, query: dict[str, str]) -> bytes:
    """GET /admin/oauth/authorize: the merchant agrees by a button."""
    fields = "".join(
        f'<input type="hidden" name="{escape(k)}" value="{escape(v)}">' for k, v in query.items()
    )
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Install app</title>
<h1>Install the app on {escape(shop.domain)}?</h1><p>It asks for: {escape(query.get("scope", ""))}</p>
<form method="post" action="/admin/oauth/authorize">{fields}<button>Install app</button></form>
</html>""".encode()


def redirect(shop: Shop, form: dict[str, str]) -> str | None:
    """Where the browser goes after consent, signed; None for another app's client id."""
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


def token(shop: Shop, data: dict[str, Any]) -> Answer:
    """POST /admin/oauth/access_token: by code, by client credentials, or by refresh token."""
    if data.get("client_id") != shop.client_id or data.get("client_secret") != shop.secret:
        return 401, {"error": "invalid_client"}
    grant = data.get("grant_type") or ("authorization_code" if data.get("code") else "")
    if grant == "client_credentials":
        return 200, _granted(shop) | {"expires_in": 86399}
    if grant == "authorization_code":
        domain, at = _codes.pop(str(data.get("code")), ("", 0.0))
        if domain != shop.domain or time.time() - at > CODE_AGE_S:
            return 400, {"error": "invalid_request", "error_description": "The code is not valid"}
        expiring = str(data.get("expiring", "")) in {"1", "true"}
        return 200, _granted(shop) | (_expiry(shop) if expiring else {})
    if grant == "refresh_token":
        if _refresh_tokens.get(str(data.get("refresh_token"))) != shop.domain:
            return 400, {"error": "invalid_grant"}
        return 200, _granted(shop) | _expiry(shop)
    return 400, {"error": "unsupported_grant_type"}


def _granted(shop: Shop) -> dict[str, Any]:
    return {"access_token": shop.token, "scope": ",".join(shop.scopes)}


def _expiry(shop: Shop) -> dict[str, Any]:
    """The old refresh token stays valid until the new one is used, as at Shopify."""
    fresh = f"shprt_{secrets.token_hex(16)}"
    _refresh_tokens[fresh] = shop.domain
    return {"expires_in": TOKEN_AGE_S, "refresh_token": fresh, "refresh_token_expires_in": 7776000}
