"""An hourly run of retention takes a limited turn, and the next one goes on from there."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from inbox.models import Channel, Contact, Conversation
from orders.models import RetentionPosition
from orders.privacy import retention

pytestmark = pytest.mark.django_db(transaction=True)


def old_contacts(channel: Channel, count: int) -> list[Contact]:
    made = [Contact.objects.create(name=f"c{n}") for n in range(count)]
    Contact.objects.update(created_at=timezone.now() - timedelta(days=2000))
    for contact in made:
        Conversation.objects.create(contact=contact, channel=channel, external_id=str(contact.pk))
    return made


def rule(name: str) -> retention.Rule:
    return next(found for found in retention.RULES if found.name == name)


def test_a_turn_passes_over_a_limited_number_and_the_next_goes_on(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    *talking, quiet = old_contacts(channel, 7)
    Conversation.objects.filter(contact=quiet).delete()
    monkeypatch.setattr(retention, "_BATCH", 2)
    monkeypatch.setattr(retention, "_PASSED_OVER", 4)
    monkeypatch.setattr(retention, "RULES", [rule("contacts")])
    now = timezone.now()
    assert retention.apply(now=now, seconds=60) == {"contacts": 0}
    assert RetentionPosition.objects.get().key == talking[3].pk
    assert retention.apply(now=now, seconds=60) == {"contacts": 1}
    assert list(Contact.objects.order_by("pk")) == talking
    # The end was reached, so the next run begins again.
    assert not RetentionPosition.objects.exists()
    # Counting and the command look at everything, and leave no place behind.
    assert retention.preview(now=now) == {"contacts": 0}
    assert retention.apply(now=now) == {"contacts": 0}
    assert not RetentionPosition.objects.exists()


def test_a_slow_rule_leaves_the_others_their_time(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_contacts(channel, 3)
    monkeypatch.setattr(retention, "_BATCH", 1)

    def slowly(rows: Any) -> int:
        time.sleep(0.3)
        return 0

    due = rule("contacts").due
    made = [
        retention.Rule(name=name, setting="RETENTION_MESSAGES_MONTHS", due=due, apply=work)
        for name, work in (("slow", slowly), ("quick", len))
    ]
    monkeypatch.setattr(retention, "RULES", made)
    done = retention.apply(now=timezone.now(), seconds=0.6)
    assert done["quick"] > 0
