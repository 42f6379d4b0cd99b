"""From which message of the customer the time to a refund counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from inbox import dashboard
from inbox.models import Channel, Conversation, Message, MessageKind
from orders.models import Store
from orders.reports.refund_times import Asked
from tests.pages.test_queries import a_person

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def written(talk: Conversation, hours: int, kind: MessageKind = MessageKind.INBOUND) -> None:
    Message.objects.create(
        conversation=talk,
        channel=talk.channel,
        kind=kind,
        text="Where is it?",
        created_at=AT + timedelta(hours=hours),
    )


@pytest.mark.parametrize("at_once", [1, 1000])
def test_the_first_since_the_order_and_before_the_request(
    channel: Channel, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(dashboard, "_REQUESTS_AT_ONCE", at_once)
    store = Store.objects.create(domain="demo.myshopify.com")
    one, other, silent = (a_person(channel, store, number) for number in (1, 2, 3))
    Message.objects.all().delete()
    for hours in (30, 5, 3, -1):
        written(one, hours)
    written(one, 2, MessageKind.REPLY)
    written(other, -20)
    written(silent, 9)

    def asked(number: int, talk: Conversation, ordered_at: datetime | None) -> Asked:
        origin = f"conversation:{talk.pk}"
        return Asked(number, origin, ordered_at, AT + timedelta(hours=8))

    found = dashboard.first_messages(
        [
            asked(1, one, AT),
            asked(2, one, AT + timedelta(hours=4)),
            # When it was ordered isn't known.
            asked(3, one, None),
            asked(4, other, None),
            asked(5, other, AT),
            # They wrote after the request only.
            asked(6, silent, AT),
            Asked(7, "admin", AT, AT),
        ]
    )
    found_hours = {number: (at - AT) / timedelta(hours=1) for number, at in found.items()}
    assert found_hours == {1: 3, 2: 5, 3: -1, 4: -20}
