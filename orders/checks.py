"""System checks of this app."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core import checks

from orders.models import Policy


@checks.register(checks.Tags.database)
def policies_exist(
    app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """Only with `check --database default`: it looks at rows."""
    if not databases or Policy.objects.exists():
        return []
    return [
        checks.Warning(
            "There is no policy: every agent may refund any amount.",
            hint="Add limits for the agents' and the supervisors' role in the admin, under Policies.",
            id="orders.W001",
        )
    ]
