"""Telling those who may decide that a request waits: what each person chose, and what pages say."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.urls import reverse
from django.utils.translation import gettext as _

from inbox.accounts.roles import Agent
from inbox.decisions import people
from inbox.models import NoticeChoice
from orders.actions.status_texts import what
from orders.models import OrderAction


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
