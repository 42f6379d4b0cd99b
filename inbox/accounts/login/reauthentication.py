"""Ask again who is there before something that matters, such as a large approval or a new key.

A session may last a day, and its screen may be left open. A proof counts for
REAUTHENTICATION_MINUTES: of the second factor for people who have one, otherwise of the password.
0 turns the question off (the demo).
"""

from __future__ import annotations

import time
from typing import Any, Final
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from inbox.accounts.login import factors

_FIRST_FACTORS: Final = frozenset({"password", "socialaccount", "mfa"})


def is_due(request: HttpRequest) -> bool:
    """Return whether this session's person has to prove again who they are."""
    within_s = settings.REAUTHENTICATION_MINUTES * 60
    if not within_s:
        return False
    user = request.user
    if not isinstance(user, User):
        return True
    counted = frozenset({"mfa"}) if factors.has_one(user) else _FIRST_FACTORS
    records: list[dict[str, Any]] = get_authentication_records(request, user)
    times = [record["at"] for record in records if record.get("method") in counted]
    # A clock that was set back must not keep a proof alive.
    return not any(0 <= time.time() - at < within_s for at in times)


def ask(request: HttpRequest, *, back: str = "") -> HttpResponse:
    """Send the person to prove who they are, and then back to the page, or to `back`.

    What was sent is not done: it's sent again after the proof. Raises PermissionDenied for someone
    who can't prove anything.
    """
    methods = get_adapter().get_reauthentication_methods(request.user)
    if not methods:
        raise PermissionDenied
    if request.method != "GET":
        messages.warning(request, _("Nothing has been done yet. Please try again now."))
    query = urlencode({"next": back or request.path})
    return redirect(f"{methods[0]['url']}?{query}")
