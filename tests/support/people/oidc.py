"""A small OpenID Connect provider: discovery, authorization code with PKCE, signed ID tokens."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "agent-inbox", "a-secret-of-the-client"


class Provider:
    """Whoever comes is `person`, and says yes to everything."""

    def __init__(self) -> None:
        self.person: dict[str, Any] = {}
        # What it says instead of its own address in its metadata, and what else it does there.
        self.says_issuer = ""
        self.metadata_status = 200
        self.padding = ""
        self.drips = False
        # Claims that it puts into ID tokens besides the person, and what else is wrong with them.
        self.claims: dict[str, Any] = {}
        self.signing_key: Any = None
        self.algorithm = "RS256"
        self.userinfo: dict[str, Any] = {}
        self._key = rsa_key()
        self._codes: dict[str, dict[str, str]] = {}
        self._tokens: dict[str, dict[str, Any]] = {}
        self.refused: list[str] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                provider._get(self, parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                provider._token(self, {k: v[0] for k, v in parse_qs(body).items()})

            def log_message(self, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _get(self, to: Any, path: str, asked: dict[str, str]) -> None:
        if path == "/.well-known/openid-configuration" and self.drips:
            _drip(to)
        elif path == "/.well-known/openid-configuration":
            at = self.issuer
            found = {
                "issuer": self.says_issuer or at,
                "padding": self.padding,
                "authorization_endpoint": f"{at}/authorize",
                "token_endpoint": f"{at}/token",
                "userinfo_endpoint": f"{at}/userinfo",
                "jwks_uri": f"{at}/jwks",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
            }
            _json(to, self.metadata_status, found, Location=f"{at}/elsewhere")
        elif path == "/authorize":
            self._authorize(to, asked)
        elif path == "/userinfo":
            token = to.headers.get("Authorization", "").removeprefix("Bearer ")
            _json(to, 200 if token in self._tokens else 401, self._tokens.get(token, {}))
        elif path == "/elsewhere":
            self.refused.append("followed a redirect")
            _json(to, 404, {})
        elif path == "/jwks":
            key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
            _json(to, 200, {"keys": [{**key, "kid": "1", "use": "sig", "alg": "RS256"}]})
        else:
            _json(to, 404, {})

    def _authorize(self, to: Any, asked: dict[str, str]) -> None:
        wanted = {"client_id": CLIENT, "response_type": "code", "code_challenge_method": "S256"}
        if any(asked.get(name) != value for name, value in wanted.items()):
            self.refused.append(f"authorize {asked}")
            _json(to, 400, {"error": "invalid_request"})
            return
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        answer = urlencode({"code": code, "state": asked["state"]})
        to.send_response(302)
        to.send_header("Location", f"{asked['redirect_uri']}?{answer}")
        to.end_headers()

    def _token(self, to: Any, sent: dict[str, str]) -> None:
        asked = self._codes.pop(sent.get("code", ""), None)
        verifier = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).decode().rstrip("=")
        known = (sent.get("client_id"), sent.get("client_secret")) == (CLIENT, SECRET)
        if not known or not asked or asked["code_challenge"] != challenge:
            self.refused.append(f"token {sorted(sent)}")
            _json(to, 400, {"error": "invalid_grant"})
            return
        token, now = secrets.token_urlsafe(16), int(time.time())
        self._tokens[token] = self.userinfo or self.person
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 60, **self.person}
        claims |= {"nonce": asked.get("nonce", ""), **self.claims}
        key = self._key if self.signing_key is None else self.signing_key
        signed = jwt.encode(claims, key, algorithm=self.algorithm, headers={"kid": "1"})
        _json(to, 200, {"access_token": token, "token_type": "Bearer", "id_token": signed})


def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _json(to: Any, status: int, body: dict[str, Any], **headers: str) -> None:
    text = json.dumps(body).encode()
    to.send_response(status)
    to.send_header("Content-Type", "application/json")
    to.send_header("Content-Length", str(len(text)))
    for name, value in headers.items():
        to.send_header(name, value)
    to.end_headers()
    to.wfile.write(text)


def settings_for(provider: Provider) -> dict[str, Any]:
    """SOCIALACCOUNT_PROVIDERS as settings.base makes it of OIDC_…."""
    app = {
        "provider_id": "sso",
        "name": "Test company",
        "client_id": CLIENT,
        "secret": SECRET,
        "settings": {"server_url": provider.issuer},
    }
    return {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}}


def _drip(to: Any) -> None:
    """A byte now and then, for ten seconds."""
    to.send_response(200)
    to.send_header("Content-Length", "1000")
    to.end_headers()
    for _ in range(100):
        try:
            to.wfile.write(b" ")
        except OSError:
            return
        time.sleep(0.1)
