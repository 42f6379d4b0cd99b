"""Fixtures for the tests of Shopify's side."""

from __future__ import annotations

import pytest

from shopify_sync.gateway import ShopifyGateway


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wake-up messages are lost: only what a test sweeps is performed."""
    monkeypatch.setattr(ShopifyGateway, "wake", lambda self, action_id, after_s=0: None)
    monkeypatch.setattr("orders.perform._wake_later", lambda *_: None)
