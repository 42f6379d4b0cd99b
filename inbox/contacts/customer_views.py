"""Record who opened which customer: their profile, a conversation or an order.

Once per person, customer and hour. Each process remembers what it has recorded, so that a page that
refreshes itself costs no query.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from inbox.accounts.roles import Agent
from inbox.models import CustomerView, ViewedKind

_Key = tuple[int, str, int, datetime]
# More than a team opens in an hour; beyond that, the database is asked again.
_REMEMBERED_AT_MOST: Final = 10_000
_remembered: set[_Key] = set()


def note_contact(viewer: Agent, contact_id: int) -> None:
    """Record that this person opened the contact or one of their conversations."""
    _note(viewer, ViewedKind.CONTACT, contact_id)


def note_order(viewer: Agent, order_id: int) -> None:
    """Record that this person opened the order by itself."""
    _note(viewer, ViewedKind.ORDER, order_id)


def forget() -> None:
    """Forget what was recorded by this process; the next view asks the database."""
    _remembered.clear()


def _note(viewer: Agent, kind: ViewedKind, number: int) -> None:
    if not isinstance(viewer, User):
        return
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    key = (viewer.pk, str(kind), number, hour)
    if key in _remembered:
        return
    row = CustomerView(viewer_id=viewer.pk, kind=kind, number=number, hour=hour)
    CustomerView.objects.bulk_create([row], ignore_conflicts=True)
    transaction.on_commit(lambda: _remember(key))


def _remember(key: _Key) -> None:
    if len(_remembered) >= _REMEMBERED_AT_MOST:
        forget()
    _remembered.add(key)
