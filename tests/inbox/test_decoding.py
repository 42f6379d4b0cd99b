"""What a request brings is decoded once, before anything looks at it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db
ROOT: Final = Path(__file__).resolve().parents[2]
# The only places that decode something again after the framework: URLs of ours in the environment,
# a signature, a help desk's form, a query that the framework hasn't read.
DECODERS: Final = {
    "core/redis_servers.py",
    "inbox/frames/authentication.py",
    "inbox/live/stream.py",
    "settings/env.py",
    "shopify_sync/webhooks/signing.py",
}
DECODING: Final = re.compile(
    r"\b(?:unquote\w*|unescape|parse_qsl?|b64decode|urlsafe_b64decode|unhexlify|fromhex)\("
)


def test_nothing_is_decoded_a_second_time(as_alice: Client) -> None:
    found = {
        str(path.relative_to(ROOT))
        for app in ("core", "inbox", "orders", "settings", "shopify_sync")
        for path in (ROOT / app).rglob("*.py")
        if DECODING.search(path.read_text())
    }
    assert found == DECODERS
    page = as_alice.get("/inbox/?q=%253Cb%253E%2526lt%253B").content.decode()
    assert 'value="%3Cb%3E%26lt%3B"' in page
    # A number that is written as its code's code is no number.
    assert as_alice.get("/inbox/conversations/%2531/").status_code == 404
