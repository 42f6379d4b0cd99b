"""A receiver on this machine, and an endpoint there that wants to be told everything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from inbox.models import WebhookEndpoint
from inbox.outgoing_webhooks import sending
from tests.support.servers.webhooks import Receiver, endpoint, receiver


@pytest.fixture
def erp(settings: Any) -> Iterator[Receiver]:
    settings.DEBUG = True  # A receiver on this machine.
    sending._pool.cache_clear()
    with receiver() as here:
        yield here
    sending._pool.cache_clear()


@pytest.fixture
def everything(erp: Receiver, alice: User) -> tuple[WebhookEndpoint, str]:
    """The endpoint, and its secret."""
    return endpoint(alice, erp.url)
