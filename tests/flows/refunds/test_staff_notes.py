"""Staff notes have the same limit everywhere and reach Shopify whole."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inbox.models import Conversation
from orders.models import Order, OrderAction
from orders.previews import STAFF_NOTE_LENGTH
from tests.conftest import logged_in
from tests.flows.actions.test_api_clicks import preview
from tests.flows.test_main_job import confirm, review
from tests.support.shop.in_process import Shop, work_off

Seen = Callable[[], Order]
pytestmark = pytest.mark.django_db(transaction=True)
# A browser sends "\r\n" for the end of a line, and counts it as one character.
NOTE = (
    "Called twice.\r\nAgreed." + "ü" * (STAFF_NOTE_LENGTH - len("Called twice.\nAgreed.") - 1) + "."
)
LONGER = NOTE + "!"


@pytest.mark.parametrize("kind", ["cancel", "refund"])
def test_the_longest_note_arrives_whole(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, kind: str
) -> None:
    shop.place()
    order = seen()
    page = unescape(
        as_alice.get(
            f"/inbox/conversations/{conversation.pk}/orders/{order.pk}/{kind}/"
        ).content.decode()
    )
    counter = re.search(r'id="staff-note-count">0/(\d+)<', page)
    assert counter
    assert int(counter[1]) == STAFF_NOTE_LENGTH
    assert f'maxlength="{STAFF_NOTE_LENGTH}"' in page
    words = {
        "cancel": {"reason": "CUSTOMER", "refund": "later"},
        "refund": {"reason": "other", "mode": "amount", "amount": "5.00"},
    }[kind]
    token = review(as_alice, conversation, order, kind, **words, staff_note=NOTE)
    assert confirm(as_alice, conversation, order, token) == 200
    work_off(shop, as_alice)
    ledger = shop.ledger()
    arrived = {
        "cancel": [row["staff_note"] for row in ledger["cancelations"]],
        "refund": [row["note"] for row in ledger["refunds"]],
    }[kind]
    written = NOTE.replace("\r\n", "\n")
    assert arrived == [f"{written} {OrderAction.objects.get().note_marker}"]
    assert len(arrived[0]) == 255
    assert OrderAction.objects.get().staff_note == written


@pytest.mark.parametrize("kind", ["cancel", "refund"])
def test_a_longer_note_is_refused_by_the_page(
    shop: Shop, seen: Seen, as_alice: Client, conversation: Conversation, kind: str
) -> None:
    shop.place()
    url = f"/inbox/conversations/{conversation.pk}/orders/{seen().pk}/{kind}/"
    page = as_alice.post(
        url, {"reason": "other", "mode": "amount", "amount": "5.00", "staff_note": LONGER}
    ).content.decode()
    assert 'id="staff_note-error"' in page
    assert f"at most {STAFF_NOTE_LENGTH} characters" in page
    assert f"0/{STAFF_NOTE_LENGTH}" not in page


def test_a_longer_note_is_refused_by_rest(
    shop: Shop, seen: Seen, conversation: Conversation, alice: User
) -> None:
    shop.place()
    order, api = seen(), logged_in(alice)
    longest = "x" * STAFF_NOTE_LENGTH
    assert preview(api, order, "5.00", staff_note=longest).status_code == 200
    assert preview(api, order, "5.00", staff_note=longest + "x").status_code == 400


def test_what_shopify_takes_is_used_to_the_last_character() -> None:
    assert STAFF_NOTE_LENGTH + 1 + len(OrderAction(marker="0123456789").note_marker) == 255
