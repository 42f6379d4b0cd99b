"""Everything here needs PostgreSQL and its client programs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from django.db import connection

_LACKING = next((name for name in ("pg_dump", "psql") if not shutil.which(name)), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = "SQLite is copied" if connection.vendor != "postgresql" else f"no {_LACKING} here"
    if connection.vendor == "postgresql" and not _LACKING:
        return
    for item in items:
        if Path(__file__).parent in item.path.parents and "anywhere" not in item.name:
            item.add_marker(pytest.mark.skip(reason=reason))
