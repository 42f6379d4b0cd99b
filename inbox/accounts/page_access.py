"""Which accounts may enter which address. An address without an entry here is closed to everyone.

inbox.middleware.RoleCheck asks this for every request that reaches Django. What someone may see
inside is decided by inbox.visibility, and what they may do with money by orders.policies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final

from inbox.accounts import roles
from inbox.accounts.roles import Agent


class Door(Enum):
    """Who may enter."""

    # Anyone. The view shows nothing that needs protection, or checks a signature itself.
    OPEN = "open"
    # Everyone who is logged in, for what concerns their own account.
    ACCOUNT = "account"
    # People who answer customers.
    INBOX = "inbox"
    # People who administer or audit.
    ADMIN = "admin"
    # Programs and frames. The view authenticates a key, token or pass, and then asks for the same
    # roles (inbox.api.permissions, inbox.frames.authentication).
    KEY = "key"


# By URL name ("namespace:name"), or else by namespace.
_DOORS: Final[Mapping[str, Door]] = {
    "home": Door.ACCOUNT,
    # Logging in, by each way there is, and asking for a new password.
    "login": Door.OPEN,
    "account_login": Door.OPEN,
    "account_reset_password": Door.OPEN,
    "account_reset_password_done": Door.OPEN,
    "account_reset_password_from_key": Door.OPEN,
    "account_reset_password_from_key_done": Door.OPEN,
    "mfa_authenticate": Door.OPEN,
    "mfa_login_webauthn": Door.OPEN,
    "openid_connect_callback": Door.OPEN,
    "openid_connect_login": Door.OPEN,
    "socialaccount_login_cancelled": Door.OPEN,
    "socialaccount_login_error": Door.OPEN,
    # One's own account: password, second factors and sessions.
    "account_change_password": Door.ACCOUNT,
    "account_reauthenticate": Door.ACCOUNT,
    "mfa_activate_totp": Door.ACCOUNT,
    "mfa_add_webauthn": Door.ACCOUNT,
    "mfa_deactivate_totp": Door.ACCOUNT,
    "mfa_download_recovery_codes": Door.ACCOUNT,
    "mfa_edit_webauthn": Door.ACCOUNT,
    "mfa_generate_recovery_codes": Door.ACCOUNT,
    "mfa_index": Door.ACCOUNT,
    "mfa_list_webauthn": Door.ACCOUNT,
    "mfa_reauthenticate": Door.ACCOUNT,
    "mfa_reauthenticate_webauthn": Door.ACCOUNT,
    "mfa_remove_webauthn": Door.ACCOUNT,
    "mfa_view_recovery_codes": Door.ACCOUNT,
    "usersessions_list": Door.ACCOUNT,
    "set_language": Door.ACCOUNT,
    "unsubscribe": Door.OPEN,
    "inbox": Door.INBOX,
    "inbox:logout": Door.ACCOUNT,
    # An order on a page of its own.
    "order": Door.INBOX,
    "sidebar": Door.KEY,
    # The page that the frame loads first: it shows nothing yet.
    "sidebar:frame": Door.OPEN,
    # Confirmed in a window of our own, with the session.
    "sidebar:connect": Door.INBOX,
    "sidebar_window": Door.INBOX,
    "api": Door.KEY,
    "api-schema": Door.KEY,
    "api-docs": Door.KEY,
    "admin": Door.ADMIN,
    "admin:login": Door.OPEN,
    "admin:logout": Door.ACCOUNT,
    "shopify-webhook": Door.KEY,
    "shopify-install": Door.ADMIN,
    "shopify-callback": Door.ADMIN,
    # With DEBUG only.
    "design": Door.OPEN,
    "design-error": Door.OPEN,
    "design-state": Door.OPEN,
}


def door_of(name: str, namespaces: Sequence[str]) -> Door | None:
    """Return the door of a URL by its full name, else by its innermost namespace that has one.

    None means that who may enter isn't declared, so no one may.
    """
    for key in (name, *reversed(namespaces)):
        if key in _DOORS:
            return _DOORS[key]
    return None


def is_open_to(door: Door | None, user: Agent) -> bool:
    """Return whether this account may enter; for KEY, the view decides."""
    if door in {Door.OPEN, Door.KEY}:
        return True
    if door is Door.ACCOUNT:
        return user.is_authenticated
    if door is Door.INBOX:
        return roles.may_work(user)
    if door is Door.ADMIN:
        return roles.may_administer(user)
    return False
