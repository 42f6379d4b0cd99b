"""Links by which people set a password: they work once, and soon expire."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.urls import reverse
from django.utils.http import base36_to_int, int_to_base36

RESET_WITHIN_S: Final = 3600
INVITED_WITHIN_S: Final = 3 * 86400


class LinkTokens(PasswordResetTokenGenerator):
    """Tokens of links that set a password: they work once, for an hour; for three days if the
    account never had a password (an invitation).

    They end with the password, the address, the account, and the next login.
    """

    def check_token(self, user: Any, token: str | None) -> bool:
        if not super().check_token(user, token) or not user.is_active:
            return False
        made = base36_to_int(str(token).split("-")[0])
        limit = RESET_WITHIN_S if user.has_usable_password() else INVITED_WITHIN_S
        return self._num_seconds(self._now()) - made <= limit


def link_to_set(user: User) -> str:
    """Return the address at which this person sets a password, once."""
    return address_of(f"{int_to_base36(user.pk)}-{LinkTokens().make_token(user)}")


def address_of(key: str) -> str:
    """Return the address of a link with this key.

    From PUBLIC_URL, never from the request: its Host header may be anyone's.
    """
    path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
    return f"{settings.PUBLIC_URL or 'http://127.0.0.1:8000'}{path.replace('UID-KEY', key)}"
