"""Fixtures for the tests of Shopify's side."""

from __future__ import annotations

import pytest

from orders.actions import worker_steps


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wake-up messages are lost: only what a test sweeps is performed."""
    monkeypatch.setattr(worker_steps, "wake", lambda action_id, after_s=0: None)
