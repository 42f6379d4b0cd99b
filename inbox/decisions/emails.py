"""Emailing those who may decide that a request waits.

The rows (RequestNotice) say what is still to be done, and a sweep finds them; a Celery message only
makes that start sooner. First the people are found, then each of them is emailed on their own.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from core import queue
from inbox.accounts import roles
from inbox.channels import email
from inbox.channels.errors import NotSent
from inbox.decisions import notices
from inbox.models import NoticeState, RequestNotice
from inbox.outbox.claiming import ATTEMPTS, backoff, take
from inbox.visibility import scope_of
from orders import services
from orders.models import ActionState, OrderAction

logger = logging.getLogger(__name__)

_TASK: Final = "inbox.tasks.deliver_request_notice"


def note(action_id: int) -> RequestNotice:
    """Note that people are to be told of a new request. Expects the request's transaction."""
    return RequestNotice.objects.create(action_id=action_id)


def wake(notice_id: int) -> None:
    """Have a worker deliver a row soon."""
    queue.enqueue(_TASK, notice_id)


def due(*, now: datetime) -> QuerySet[RequestNotice]:
    """Return the rows to work on now; those never tried come first."""
    rows = RequestNotice.objects.due(now=now)
    return rows.order_by(F("next_attempt_at").asc(nulls_first=True), "pk")


def deliver(notice_id: int) -> None:
    """Do what a row asks for: find the people, or email one of them.

    Does nothing if another worker has it, and ends the row if there is no one to tell anymore.
    Opens its own transactions.
    """
    notice = _claim(notice_id, now=timezone.now())
    if notice is None:
        return
    if not _is_waiting(notice.action, now=timezone.now()):
        _end(notice, NoticeState.NOT_NEEDED)
    elif notice.user is None:
        _find_people(notice)
    elif _is_wanted_by(notice.user, notice.action):
        _send(notice, notice.user)
    else:
        _end(notice, NoticeState.NOT_NEEDED)


def may_decide(user: User, action: OrderAction) -> bool:
    """Return whether this person sees the request and may approve it."""
    if not scope_of(user).sees_store(action.order.store_id):
        return False
    return services.approval_refusal(action, user) is None


def _claim(notice_id: int, *, now: datetime) -> RequestNotice | None:
    """Take a row; None if it isn't due or another worker has it."""
    if not take(RequestNotice.objects.due(now=now).filter(pk=notice_id), now=now):
        return None
    related = ("user", "action__order__store", "action__requested_by", "action__approved_by")
    return RequestNotice.objects.select_related(*related).get(pk=notice_id)


def _is_waiting(action: OrderAction, *, now: datetime) -> bool:
    has_lapsed = action.expires_at is not None and action.expires_at <= now
    return action.state == ActionState.AWAITING_APPROVAL and not has_lapsed


def _is_wanted_by(user: User, action: OrderAction) -> bool:
    may_be_told = bool(user.email) and roles.is_assignable(user) and may_decide(user, action)
    return may_be_told and notices.choice_of(user).wants_email


def _find_people(notice: RequestNotice) -> None:
    """Write a row for each person to email, and wake the workers after commit."""
    action = notice.action
    found = [user for user in roles.assignable() if _is_wanted_by(user, action)]
    with transaction.atomic(durable=True):
        if not _end(notice, NoticeState.SENT):
            return
        made = RequestNotice.objects.bulk_create(
            RequestNotice(action=action, user=user) for user in found
        )
        ids = [row.pk for row in made]
        transaction.on_commit(lambda: queue.enqueue_each(_TASK, ids), robust=True)


def _send(notice: RequestNotice, user: User) -> None:
    try:
        email.send_mail(
            to=user.email,
            subject=notices.sentence(notice.action),
            text=_text(notice.action),
            message_id=f"request-{notice.pk}",
        )
    except NotSent as error:
        _retry_or_give_up(notice, error)
    else:
        _end(notice, NoticeState.SENT)


def _retry_or_give_up(notice: RequestNotice, error: NotSent) -> None:
    if error.is_final or notice.attempts >= ATTEMPTS:
        # Not the error's text, which quotes the address.
        logger.warning("request notice %s failed after %s attempts", notice.pk, notice.attempts)
        _end(notice, NoticeState.FAILED)
        return
    mine = RequestNotice.objects.pending().filter(pk=notice.pk, attempts=notice.attempts)
    mine.update(next_attempt_at=timezone.now() + backoff(notice.attempts))


def _end(notice: RequestNotice, state: NoticeState) -> bool:
    """End a row; False if another worker did."""
    mine = RequestNotice.objects.pending().filter(pk=notice.pk)
    return mine.update(state=state, next_attempt_at=None) == 1


def _text(action: OrderAction) -> str:
    address = f"{settings.PUBLIC_URL}{reverse('inbox:decisions')}?request={action.pk}"
    lines = [notices.sentence(action), action.why_approval]
    if action.expires_at:
        until = date_format(localtime(action.expires_at), "DATETIME_FORMAT")
        lines.append(_("It expires if it isn’t approved by %(until)s.") % {"until": until})
    lines += [
        address,
        _("You choose in your account menu, under Notifications, what you are told."),
    ]
    return "\n\n".join(line for line in lines if line)
