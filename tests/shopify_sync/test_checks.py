"""System checks that stop the start."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import checks


@pytest.mark.parametrize(
    ("version", "is_refused"),
    [
        ("2026-10", False),
        ("2027-01", False),
        ("2030-07", False),
        ("2026-07", True),
        ("2025-10", True),
        ("unstable", True),
        ("", True),
        ("2026-11", True),
        ("2026-10 ", True),
    ],
)
def test_an_api_version_before_the_cancellations_result_is_refused(
    settings: Any, version: str, is_refused: bool
) -> None:
    settings.SHOPIFY_API_VERSION = version
    found = [m for m in checks.run_checks(tags=["security"]) if m.id == "shopify_sync.E006"]
    assert bool(found) is is_refused
    if found:
        assert "needs 2026-10 or newer" in found[0].msg
