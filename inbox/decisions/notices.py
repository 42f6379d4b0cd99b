"""Telling those who may decide that a request waits: what each person chose, and the email."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from core import queue
from inbox.accounts import mail, roles
from inbox.accounts.roles import Agent
from inbox.decisions import people
from inbox.models import NoticeChoice
from inbox.scopes import scope_of
from orders import services
from orders.actions.status_texts import what
from orders.models import ActionState, OrderAction


def choice_of(user: User) -> NoticeChoice:
    """Return how a person wants to be told, not stored yet if they never chose."""
    found = NoticeChoice.objects.filter(user_id=user.pk).first()
    return found or NoticeChoice(user_id=user.pk)


def choose(user: User, *, on_page: bool, on_desktop: bool, by_email: bool | None) -> None:
    """Store how a person wants to be told. `by_email` None: as the settings say."""
    chosen = {"on_page": on_page, "on_desktop": on_desktop, "by_email": by_email}
    NoticeChoice.objects.update_or_create(user=user, defaults=chosen)


def to_announce(user: Agent) -> dict[str, Any]:
    """Return the context of inbox/_waiting.html: what waits for this person, and how to tell them.

    At most one query more than people.waiting_for.
    """
    waiting = people.waiting_for(user)
    newest = waiting.newest if waiting else None
    return {
        "waiting": waiting,
        "choice": choice_of(user) if newest and isinstance(user, User) else None,
        "sentence": sentence(newest) if newest else "",
        "url": f"{reverse('inbox:decisions')}?request={newest.pk}" if newest else "",
    }


def sentence(action: OrderAction) -> str:
    """Say in one sentence who asks for what."""
    return _("%(who)s asks for approval: %(what)s of %(order)s") % {
        "who": people.name(action.requested_by),
        "what": what(action),
        "order": action.order.name,
    }


def email_deciders(action_id: int) -> int:
    """Hand a mail to the workers for everyone who may approve this request and wants mail.

    Returns how many. None if it was decided in the meantime.
    """
    rows = OrderAction.objects.select_related("order__store", "requested_by", "approved_by")
    action = rows.filter(pk=action_id, state=ActionState.AWAITING_APPROVAL).first()
    if action is None:
        return 0
    subject, text = sentence(action), _text(action)
    sent = 0
    for user in roles.assignable().exclude(email=""):
        if may_decide(user, action) and choice_of(user).wants_email:
            sent += queue.enqueue(mail.TASK, user.email, subject, text)
    return sent


def may_decide(user: User, action: OrderAction) -> bool:
    """Return whether this person sees the request and may approve it."""
    if not scope_of(user).sees_store(action.order.store_id):
        return False
    return services.approval_refusal(action, user) is None


def _text(action: OrderAction) -> str:
    address = f"{settings.PUBLIC_URL}{reverse('inbox:decisions')}?request={action.pk}"
    lines = [sentence(action), action.why_approval]
    if action.expires_at:
        until = date_format(localtime(action.expires_at), "DATETIME_FORMAT")
        lines.append(_("It lapses if it isn’t approved by %(until)s.") % {"until": until})
    lines += [
        address,
        _("You choose in your account menu, under Notifications, what you are told."),
    ]
    return "\n\n".join(line for line in lines if line)
