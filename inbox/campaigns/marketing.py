"""Marketing messages: write a waiting row, ask Shopify for consent, then decide the row.

Consent and the state of a checkout are read again before each message, outside any transaction.
Deciding is one transaction that locks the campaign's row, so that two workers can't both find a
customer's quiet time unbroken.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from core import queue
from core.database.leases import is_due
from inbox import outbox
from inbox.campaigns import (
    audience,
    late_tracking,
)
from inbox.campaigns.audience import Person
from inbox.campaigns.texts import (
    Facts,
    address_refusal,
    compose,
    facts_of_checkout,
    facts_of_event,
    language_of,
)
from inbox.contacts import identities
from inbox.models import Campaign, CampaignMessage, Conversation, Purpose, SendState, Via
from inbox.outbox import Draft
from inbox.suppression import (
    consent,
    relevance,
)
from orders.checkout_snapshot import (
    CheckoutSnapshot,
    Consent,
)
from orders.errors import ShopUnreachable
from orders.models import Checkout, OrderEvent

_LEASE: Final = timedelta(seconds=60)
_BACKOFF_S: Final = (10, 60, 300, 900, 1800, 3600, 3600)


def ask(campaign: Campaign, thing: OrderEvent | Checkout) -> None:
    """Write the rows that wait for Shopify's answer, one per channel.

    Safe to run twice. Expects a transaction; the rows are enqueued once it commits.
    """
    of = {"event": thing} if isinstance(thing, OrderEvent) else {"checkout": thing}
    for via in campaign.channels:
        row, is_new = CampaignMessage.objects.get_or_create(
            campaign=campaign, via=via, **of, defaults={"state": SendState.WAITING}
        )
        if is_new:
            _wake(row)


def waiting(*, now: datetime) -> QuerySet[CampaignMessage]:
    """Return the rows that are due to be decided, oldest first."""
    ready = is_due("next_attempt_at", now=now)
    return _undecided().filter(ready).order_by("pk")


def look_again(order_id: int) -> list[int]:
    """Make rows that wait for the order's tracking number due again, and return their IDs.

    Called when the order has changed.
    """
    rows = _undecided().filter(event__order=order_id).exclude(reason="")
    ids = list(rows.values_list("pk", flat=True))
    CampaignMessage.objects.filter(pk__in=ids).update(next_attempt_at=None)
    return ids


def _undecided() -> QuerySet[CampaignMessage]:
    # Transactional rows wait for their event, not for Shopify.
    return CampaignMessage.objects.filter(
        state=SendState.WAITING, campaign__purpose=Purpose.MARKETING
    )


def settle(row_id: int) -> None:
    """Ask Shopify about one row and decide it, unless another worker has it. Safe to run twice."""
    now = timezone.now()
    ready = is_due("next_attempt_at", now=now)
    mine = _undecided().filter(ready, pk=row_id)
    # The update is the claim: of several workers, one changes the row.
    if not mine.update(next_attempt_at=now + _LEASE, attempts=F("attempts") + 1):
        return
    row = CampaignMessage.objects.select_related(
        "campaign", "event__order__store", "checkout__store"
    ).get(pk=row_id)
    try:
        read = consent.read_checkout(row.checkout) if row.checkout else None
        thing = read if row.checkout else _event(row).order
        found = consent.consent_of(thing, Via(row.via)) if thing else None
    except ShopUnreachable:
        _postpone(row, now)
        return
    _decide(row.pk, read, found)


def _event(row: CampaignMessage) -> OrderEvent:
    if row.event is None:
        raise ValueError("a message of neither an event nor a checkout")
    return row.event


def _postpone(row: CampaignMessage, now: datetime) -> None:
    """Retry with back-off, or give up: late advertising is of no use."""
    mine = CampaignMessage.objects.filter(pk=row.pk, state=SendState.WAITING)
    if row.attempts > len(_BACKOFF_S):
        reason = _("The customer’s consent couldn’t be checked with Shopify.")
        mine.update(state=SendState.SKIPPED, reason=reason, next_attempt_at=None)
        return
    wait = timedelta(seconds=_BACKOFF_S[row.attempts - 1])
    mine.update(next_attempt_at=now + wait)


def _decide(row_id: int, read: CheckoutSnapshot | None, found: Consent | None) -> None:
    with transaction.atomic(durable=True):
        row = (
            CampaignMessage.objects.select_for_update(of=("self",))
            .select_related("campaign", "event__order__store", "checkout__store")
            .get(pk=row_id)
        )
        # Another worker may have decided it while this one was asking Shopify.
        if row.state != SendState.WAITING:
            return
        now = timezone.now()
        _lock_campaign(row.campaign_id)
        if row.checkout and (again_at := _recheck_at(row.campaign, row.checkout, now)):
            CampaignMessage.objects.filter(pk=row.pk).update(next_attempt_at=again_at, attempts=0)
            return
        draft = _draft(row, read, found, now)
        if row.event and late_tracking.may_come(draft, row.event):
            late_tracking.keep_waiting(row, next_attempt_at=late_tracking.next_look(now=now))
            return
        if draft.refusal:
            row.state, row.reason = SendState.SKIPPED, draft.refusal[:300]
            row.next_attempt_at = None
            row.save(update_fields=["state", "reason", "next_attempt_at"])
            return
        outbox.write_campaign(row, draft, now=now)


def _lock_campaign(campaign_id: int) -> None:
    """Lock the campaign, so that its rows are decided one by one: quiet time spans many rows."""
    # no_key, because rows that refer to the campaign must still be insertable.
    Campaign.objects.select_for_update(no_key=True).get(pk=campaign_id)


def _recheck_at(campaign: Campaign, checkout: Checkout, now: datetime) -> datetime | None:
    """Return when to check a checkout that was active since; None if it's inactive or over."""
    if checkout.completed_at or checkout.deleted_at:
        return None
    calm_at = checkout.active_at + campaign.silence
    return calm_at if calm_at > now else None


def _draft(
    row: CampaignMessage, read: CheckoutSnapshot | None, found: Consent | None, now: datetime
) -> Draft:
    """Compose the message, or say why not: the customer's choice first, then our own rules."""
    campaign, via = row.campaign, Via(row.via)
    if refusal := consent.campaign_refusal(row):
        return Draft(via=via, refusal=refusal)
    if row.checkout and (refusal := consent.checkout_refusal(row.checkout, read)):
        return Draft(via=via, refusal=refusal)
    # The row may have waited through an outage of ours.
    if refusal := relevance.refusal(row, now=now):
        # A row has a reason only if it has been waiting for the tracking number.
        return Draft(via=via, refusal=late_tracking.never_came() if row.reason else refusal)
    refusal = consent.refusal(found)
    if refusal or found is None:
        return Draft(via=via, refusal=refusal)
    refusal = (
        address_refusal(via, found.address, None)
        or _audience_refusal(row)
        or _quiet_refusal(row, Person.of(consent.thing_of(row)), now)
    )
    if refusal:
        return Draft(via=via, refusal=refusal)
    facts, language = _facts(row, read)
    # Send to the address the customer consented for, even if the order has another one.
    with_link = replace(facts, unsubscribe_url=found.unsubscribe_url)
    return compose(campaign, via, found.address, with_link, language)


def _audience_refusal(row: CampaignMessage) -> str:
    if row.checkout:
        return audience.checkout_refusal(row.campaign, row.checkout)
    return audience.event_refusal(row.campaign, _event(row))


def _quiet_refusal(row: CampaignMessage, person: Person, now: datetime) -> str:
    of_event = Q(
        event__order__store=person.store_id, event__order__customer_gid=person.customer_gid
    )
    of_checkout = Q(checkout__store=person.store_id, checkout__customer_gid=person.customer_gid)
    # The same event on another channel is the same message.
    same = Q(event=row.event_id) if row.event_id else Q(checkout=row.checkout_id)
    lately = CampaignMessage.objects.filter(
        of_event | of_checkout,
        campaign=row.campaign_id,
        state=SendState.WRITTEN,
        written_at__gt=now - row.campaign.quiet_time,
    )
    if lately.exclude(same).exists():
        return _("The customer already got this campaign within its quiet period.")
    return ""


def _facts(row: CampaignMessage, read: CheckoutSnapshot | None) -> tuple[Facts, str]:
    if read is not None and row.checkout:
        return facts_of_checkout(row.checkout.store, read), read.locale
    event = _event(row)
    talks = Conversation.objects.select_related("contact").newest_first()
    conversation = talks.filter(contact__in=identities.contacts_of(event.order)).first()
    return facts_of_event(event), language_of(event.order, conversation)


def _wake(row: CampaignMessage) -> None:
    transaction.on_commit(
        lambda: queue.enqueue("inbox.tasks.settle_marketing", row.pk), robust=True
    )
