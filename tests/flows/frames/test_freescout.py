"""FreeScout with the module of integrations/freescout, which PHP runs as FreeScout does."""

# ruff: noqa: F811  fixtures of the other file, by their names

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inbox.models import HelpDeskFrame
from orders.models import Order
from tests.flows.frames.test_frames import (  # noqa: F401  fixtures
    DESK,
    Framed,
    alice,
    ancestors,
    swap,
    token_in,
    zammad,
)
from tests.support.shop.in_process import Shop, work_off

pytestmark = pytest.mark.django_db(transaction=True)
Seen = Callable[[], Order]
ROOT = Path(__file__).resolve().parents[3]
MODULE = ROOT / "integrations" / "freescout" / "AgentInbox"
PLAYER = ROOT / "tests" / "support" / "desks" / "freescout.php"
PHP = shutil.which("php")


@pytest.fixture
def freescout(zammad: HelpDeskFrame) -> HelpDeskFrame:
    if PHP is None:
        pytest.skip("PHP is not installed: apt-get install php-cli")
    HelpDeskFrame.objects.update(name="FreeScout", confirm_up_to=10)
    zammad.refresh_from_db()
    return zammad


def shown(frame: HelpDeskFrame, *, assignee: str = "alice@shop.example", **more: Any) -> Any:
    """What an agent's conversation shows once an administrator has entered the settings."""
    given = {
        "settings": {
            "agentinbox.panel": f"https://inbox.example.com/sidebar/?frame={frame.pk}",
            "agentinbox.secret": frame.secret.reveal(),
        },
        "agent": "alice@shop.example",
        "customer": {"emails": ["other@example.com"], "phones": []},
        "conversation": {
            "assignee": assignee,
            "customer_email": "jane@example.com",
            "subject": "Where is\nmy “order” & co?",
            "preview": "Über\ttwo weeks…",
        },
    }
    assert PHP
    answer = subprocess.run(
        [PHP, "-d", "display_errors=stderr", PLAYER, MODULE],
        input=json.dumps(given | more),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert answer.stderr == ""
    return json.loads(answer.stdout)


def address_in(sidebar: str) -> tuple[str, str]:
    """The frame's address, and what is signed after its #."""
    found = re.search(r'<iframe src="([^"]+)"', sidebar)
    assert found, sidebar
    address, _, said = unescape(found[1]).partition("#")
    return address, said


def entered(frame: HelpDeskFrame, **more: Any) -> Framed:
    status, told = swap(frame, address_in(shown(frame, **more)["sidebar"])[1])
    assert status == 200, told
    return Framed(told)


def test_an_agent_refunds_inside_freescout(
    shop: Shop, seen: Seen, alice: User, freescout: HelpDeskFrame
) -> None:
    shop.place()
    order = seen()
    address, said = address_in(shown(freescout)["sidebar"])
    assert address == f"https://inbox.example.com/sidebar/?frame={freescout.pk}"
    status, told = swap(freescout, said)
    assert status == 200, told
    framed = Framed(told)
    assert order.name in framed.panel()
    token = token_in(framed.review(order, reason="other", amount="10.00"))
    assert framed.post(f"orders/{order.pk}/confirm/", {"token": token}).status_code == 200
    work_off(shop, framed.client)
    assert [r["amount"] for r in shop.ledger()["refunds"]] == ["10.0"]
    assert "Partially refunded" in framed.panel()
    # Each view of the conversation makes an address of its own, which works once.
    assert swap(freescout, said) == (403, {"code": "used"})
    entered(freescout)


def test_freescouts_assignee_may_act(
    shop: Shop, seen: Seen, alice: User, freescout: HelpDeskFrame
) -> None:
    shop.place()
    seen()
    refused = "assign the conversation to yourself in FreeScout"
    assert refused not in entered(freescout).panel()
    assert refused in entered(freescout, assignee="").panel()
    assert refused in entered(freescout, assignee="bob@shop.example").panel()


def test_only_freescouts_own_pages_may_show_it(alice: User, freescout: HelpDeskFrame) -> None:
    address = address_in(shown(freescout)["sidebar"])[0].removeprefix("https://inbox.example.com")
    assert ancestors(Client().get(address)) == DESK
    HelpDeskFrame.objects.update(origins="https://another.example")
    assert DESK not in ancestors(Client().get(address))
    # Signed with another frame's secret, or for somebody who is no agent here.
    wrong = {
        "agentinbox.panel": f"https://inbox.example.com/sidebar/?frame={freescout.pk}",
        "agentinbox.secret": "axf_another",
    }
    said = address_in(shown(freescout, settings=wrong)["sidebar"])[1]
    assert swap(freescout, said) == (403, {"code": "signature"})
    said = address_in(shown(freescout, agent="eve@shop.example")["sidebar"])[1]
    assert swap(freescout, said) == (403, {"code": "not_an_agent"})


def test_the_secret_stays_on_the_server(freescout: HelpDeskFrame) -> None:
    page = shown(freescout)
    secret = freescout.secret.reveal()
    assert page["sections"] == ["agentinbox"]
    assert secret not in page["sidebar"] + page["form"]
    assert "*" * len(secret) in page["form"]
    assert page["saved"]["agentinbox.secret"] not in ("", secret)
    empty = {"agentinbox.panel": "", "agentinbox.secret": ""}
    assert shown(freescout, settings=empty)["sidebar"] == ""
    without_number = {"agentinbox.panel": "https://inbox.example.com/", "agentinbox.secret": "x"}
    assert "has to end in ?frame=" in shown(freescout, settings=without_number)["sidebar"]
