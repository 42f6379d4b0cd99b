"""Emails to people about their own account: an invitation, a new device, a new role."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from core.change_origin import current_origin
from inbox.accounts import mail
from inbox.accounts.login import links


def invite(user: User) -> bool:
    """Send the link by which a new person sets their password; return whether it is on its way."""
    text = _(
        "An account was created for you in Agent Inbox. Your username is %(name)s.\n\n"
        "Set your password within three days:\n\n%(link)s\n\n"
        "The link works once. If it has expired, ask for a new one on the login page."
    ) % {"name": user.username, "link": links.link_to_set(user)}
    return mail.send(user.email, _("Your account in Agent Inbox"), text)


def send_reset(user: User) -> bool:
    """Send the link by which a person sets a new password, at an administrator's request.

    Returns whether it is on its way.
    """
    text = _(
        "An administrator asked us to send you a link to set a new password. Your username is "
        "%(name)s.\n\nIt works once, within an hour:\n\n%(link)s"
    ) % {"name": user.username, "link": links.link_to_set(user)}
    return mail.send(user.email, _("Set a new password"), text)


def new_device(user: User, *, browser: str, now: datetime) -> None:
    """Tell a person that someone logged in with their account in a browser not seen before."""
    text = _(
        "Someone logged in as %(name)s with a browser that we haven’t seen before.\n\n"
        "When: %(when)s\nAddress: %(address)s\nBrowser: %(browser)s\n\n"
        "If that was you, there is nothing to do. Otherwise change your password at once and log "
        "out everywhere else: %(link)s"
    ) % {
        "name": user.username,
        "when": date_format(now, "DATETIME_FORMAT"),
        "address": current_origin().ip or "?",
        "browser": browser[:200],
        "link": f"{settings.PUBLIC_URL}/account/",
    }
    mail.send(user.email, _("A new device logged in to Agent Inbox"), text)


def role_granted(user: User, role: str) -> None:
    """Tell a person which role they were given."""
    text = _(
        "You now have the role “%(role)s” in Agent Inbox. If you didn’t expect that, tell an "
        "administrator."
    ) % {"role": role}
    mail.send(user.email, _("You have a new role in Agent Inbox"), text)


def address_changed(user: User, before: str) -> None:
    """Tell a person, at both addresses, that an administrator changed their address."""
    text = _(
        "An administrator changed the address of your account %(name)s to %(new)s. If you didn’t "
        "ask for that, tell another administrator at once."
    ) % {"name": user.username, "new": user.email}
    for address in {before, user.email}:
        mail.send(address, _("Your address in Agent Inbox was changed"), text)


def factors_removed(user: User) -> None:
    """Tell a person that their second factors were removed from the server."""
    text = _(
        "The second factors of your account %(name)s were removed by someone who runs the server. "
        "Set up a new one when you log in. If you didn’t ask for that, tell an administrator at "
        "once."
    ) % {"name": user.username}
    mail.send(user.email, _("Your second factors were removed"), text)


def wrong_codes(user: User) -> None:
    """Warn a person that someone knows their password, but not their second factor."""
    text = _(
        "Someone entered the right password of your account %(name)s several times, but not the "
        "right code. If that wasn’t you, change your password at once: %(link)s"
    ) % {"name": user.username, "link": f"{settings.PUBLIC_URL}/account/"}
    mail.send(user.email, _("Wrong codes for your account in Agent Inbox"), text)
