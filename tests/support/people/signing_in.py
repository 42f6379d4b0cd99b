"""Logins as people do them: through the form, with a code from an app."""

from __future__ import annotations

import time
from typing import Any

from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.contrib.auth.models import User
from django.test import Client

PASSWORD = "demo"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def code(secret: str = SECRET, *, ahead: int = 0) -> str:
    """What an authenticator app shows now, or `ahead` periods of 30 seconds from now."""
    shown: str = format_hotp_value(hotp_value(secret, int(time.time()) // 30 + ahead))
    return shown


def give_app(user: User) -> None:
    """Set up an authenticator app with a known key."""
    TOTP.activate(user, SECRET)


def log_in(name: str, password: str = PASSWORD, *, web: Client | None = None, **more: str) -> Any:
    """Send the login form; the answer has the client."""
    web = web or Client()
    return web.post("/login/", {"username": name, "password": password, **more})


def enter_code(web: Client, value: str) -> Any:
    return web.post("/account/step/", {"code": value})
