"""Signal receivers for order changes, logins and roles.

A lost `event_recorded` is caught up by the sweeps in inbox.tasks. The other order signals are sent
inside the transaction of the change, so what they write commits or rolls back with it.
"""

from __future__ import annotations

from collections.abc import Collection

from allauth.account.internal.flows.login import record_authentication
from allauth.account.signals import (
    authentication_step_completed,
    password_changed,
    password_reset,
)
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed, authenticator_added
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from core import queue
from inbox import api_tokens
from inbox.accounts import notices
from inbox.accounts.login import sessions, throttling
from inbox.campaigns import (
    late_tracking,
    marketing,
)
from inbox.contacts import identities
from inbox.decisions import emails
from inbox.live import events
from inbox.models import WebhookEndpoint
from inbox.outgoing_webhooks import events as webhooks
from inbox.suppression import opt_outs
from orders.models import Customer, Order
from orders.signals import (
    action_moved,
    approvals_changed,
    customer_changed,
    event_recorded,
    events_written,
    ledger_read,
    order_changed,
    orders_imported,
)


@receiver(order_changed)
def announce_order(sender: object, *, order_id: int, **_: object) -> None:
    """Announce a changed order to the pages that show it or its customer."""
    # A savepoint, so that a failed query here doesn't break the transaction of the change.
    with transaction.atomic():
        named = Order.objects.only("store_id", "customer_gid", "email", "phone")
        order = named.filter(pk=order_id).order_by().first()
        if order is not None:
            contacts = [f"contact:{pk}" for pk in identities.contacts_of(order)]
            people = [events.person_topic(value) for value in (order.email, order.phone) if value]
            events.announce("decisions", f"order:{order_id}", *contacts, *people)


@receiver(approvals_changed)
def announce_approvals(sender: object, *, order_id: int, **_: object) -> None:
    """Have the pages of those who may decide count again."""
    with transaction.atomic():
        # Along with the order, so that it only reaches those who see its store.
        events.announce("approvals", f"order:{order_id}")


@receiver(approvals_changed)
def email_deciders(sender: object, *, action_id: int, is_new: bool, **_: object) -> None:
    """Note, along with a new request, that those who may decide are to be emailed."""
    if not is_new:
        return
    with transaction.atomic():
        notice = emails.note(action_id)
    transaction.on_commit(lambda: emails.wake(notice.pk), robust=True)


@receiver(order_changed)
def retry_waiting_messages(sender: object, *, order_id: int, **_: object) -> None:
    """Retry messages that may have waited for this change, once it is committed.

    They wait for a bank's answer or for a parcel's tracking number.
    """
    # Robust: an error here must not look as if the change, which is committed, had failed.
    transaction.on_commit(lambda: _enqueue_waiting(order_id), robust=True)


def _enqueue_waiting(order_id: int) -> None:
    waiting = late_tracking.events_to_look_at(order_id)
    queue.enqueue_each("inbox.tasks.handle_event", waiting.values_list("pk", flat=True))
    queue.enqueue_each("inbox.tasks.settle_marketing", marketing.look_again(order_id))


@receiver(customer_changed)
def announce_customer(sender: object, *, customer_id: int, **_: object) -> None:
    """Announce a changed customer to the pages of their contacts."""
    with transaction.atomic():
        customer = Customer.objects.filter(pk=customer_id).first()
        if customer is None:
            return
        if found := identities.contacts_of_customer(customer):
            events.announce(*(f"contact:{pk}" for pk in found))


@receiver(orders_imported)
def announce_imported_orders(sender: object, *, order_ids: list[int], **_: object) -> None:
    """Announce a batch of imported orders at once; a back-fill would flood browsers one by one."""
    with transaction.atomic():
        topics = {f"contact:{pk}" for pk in identities.contacts_of_many(order_ids)}
        for pair in Order.objects.filter(pk__in=order_ids).values_list("email", "phone"):
            topics |= {events.person_topic(value) for value in pair if value}
        if topics:
            events.announce("decisions", *topics)


@receiver(post_save, sender=WebhookEndpoint)
def hear_of_endpoint(sender: object, **_: object) -> None:
    """Tell a new endpoint what happens from now on; other processes notice within a second."""
    webhooks.listen()


@receiver(action_moved)
def tell_move(sender: object, *, action_id: int, before: str, after: str, **_: object) -> None:
    """Write the webhooks about a new action or its new state."""
    if not webhooks.is_anyone_listening():
        return
    with transaction.atomic():
        webhooks.action_moved(action_id, before=before, after=after)


@receiver(approvals_changed)
def tell_approvals(sender: object, *, action_id: int, is_new: bool, **_: object) -> None:
    """Write the webhooks about the first of two approvals."""
    if not is_new and webhooks.is_anyone_listening():
        with transaction.atomic():
            webhooks.approvals_changed(action_id)


# Not for what only an action of ours changed: that has webhooks of its own.
@receiver(order_changed, sender=Order)
def tell_change(sender: object, *, order_id: int, **_: object) -> None:
    """Write the webhooks about an order that Shopify shows differently."""
    if not webhooks.is_anyone_listening():
        return
    with transaction.atomic():
        webhooks.order_changed(order_id)


@receiver(events_written)
def tell_events(sender: object, *, event_ids: Collection[int], **_: object) -> None:
    """Write the webhooks about an order's news."""
    if not webhooks.is_anyone_listening():
        return
    with transaction.atomic():
        webhooks.events_written(event_ids)


@receiver(event_recorded)
def write_messages(sender: object, *, event_id: int, **_: object) -> None:
    """Have a worker write the campaign messages of an order event."""
    queue.enqueue("inbox.tasks.handle_event", event_id)


@receiver(ledger_read)
def enter_opt_outs(sender: object, *, entries: list[dict[str, str]], **_: object) -> None:
    """Restore the opt-outs found in the ledger file, after a backup was restored."""
    opt_outs.enter_again(entries)


@receiver(user_logged_in)
def begin_session(sender: object, *, request: HttpRequest, user: User, **_: object) -> None:
    """Begin the session's time limits, whether the login came through the inbox or the admin."""
    sessions.begin(request, user, now=timezone.now())


@receiver(password_changed)
@receiver(password_reset)
def end_sessions(sender: object, *, request: HttpRequest, user: User, **_: object) -> None:
    """End the sessions that a person began with the password they no longer use."""
    is_own = getattr(request.user, "pk", None) == user.pk
    sessions.end_all(user, but=request.session.session_key if is_own else None)


@receiver(sessions.ended)
def close_streams(sender: object, *, user_id: int, **_: object) -> None:
    """Have the person's event streams look at once whether their session still exists."""
    events.announce(events.sessions_of(user_id))


@receiver(authenticator_added)
def end_other_sessions(
    sender: object, *, request: HttpRequest, user: User, authenticator: Authenticator, **_: object
) -> None:
    """Keep the session that has just proven a new factor, and end those that never did."""
    if authenticator.type == Authenticator.Type.RECOVERY_CODES:
        return
    record_authentication(request, user, method="mfa", id=authenticator.pk, type=authenticator.type)
    sessions.end_all(user, but=request.session.session_key)


@receiver(authentication_step_completed)
def replace_session_key(
    sender: object, *, request: HttpRequest, reauthenticated: bool = False, **_: object
) -> None:
    """Give the session a new key with each fresh proof; a login gives it one anyway."""
    if reauthenticated:
        sessions.replace_key(request)


@receiver(authentication_failed)
def count_wrong_code(sender: object, *, request: HttpRequest, user: User, **_: object) -> None:
    """Count a wrong code like a wrong password, and warn its owner: their password is known."""
    if throttling.failed_code(request, user, now=timezone.now()) == throttling.WARNED:
        notices.wrong_codes(user)


@receiver(user_logged_out)
def finish_session(sender: object, *, request: HttpRequest, **_: object) -> None:
    """Have the middleware mark the browser as logged out."""
    sessions.finish(request)


@receiver(post_delete, sender=Session)
def end_streams_of_session(sender: object, *, instance: Session, **_: object) -> None:
    """End a session's event streams with it: after a log-out, or when it is ended elsewhere."""
    if instance.expire_date > timezone.now():
        events.announce(events.session_topic(instance.session_key))


@receiver(post_save, sender=User)
def account_changed(
    sender: object,
    *,
    instance: User,
    created: bool,
    update_fields: Collection[str] | None,
    **_: object,
) -> None:
    """Recheck the event streams of a changed account, as its password may be another. Revoke the
    API tokens of a deactivated one, so that they don't come back with it."""
    # Every login saves last_login.
    if not created and (update_fields is None or set(update_fields) != {"last_login"}):
        events.announce(events.sessions_of(instance.pk))
    if not instance.is_active:
        api_tokens.revoke_orphans(instance, now=timezone.now())


@receiver(m2m_changed, sender=User.groups.through)
def role_removed(
    sender: object, *, instance: Model, action: str, pk_set: set[int] | None, **_: object
) -> None:
    """Recheck the event streams of accounts that have lost a role; revoke their API tokens if it
    was the last one."""
    if action not in {"post_remove", "post_clear"}:
        return
    # Through `group.user_set`, the accounts are in pk_set.
    people = [instance] if isinstance(instance, User) else User.objects.filter(pk__in=pk_set or ())
    for user in people:
        events.announce(events.sessions_of(user.pk))
        api_tokens.revoke_orphans(user, now=timezone.now())
