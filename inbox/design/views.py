"""The living style guide (/design/, DEBUG only): every component as the pages use it."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Final

from django.contrib.auth.decorators import login_not_required
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from inbox.design import samples
from inbox.design.states import (
    ERRORS,
    STATES,
)
from orders.money import Money
from orders.reports import totals
from orders.statuses.badges import Tone

SURFACES: Final = (
    "canvas",
    "surface",
    "surface-sunken",
    "surface-raised",
    "hover",
    "pressed",
    "line",
    "line-field",
)
INKS: Final = ("text", "text-soft", "text-faint", "accent-ink", "danger-ink", "note-ink")
SIGNALS: Final = ("accent", "accent-soft", "danger", "danger-soft", "note", "focus")
SIZES: Final = range(1, 7)
SPACES: Final = range(1, 8)
MOTIONS: Final = ("fast", "slow")
# Sample rows for a chart; real pages compute theirs.
BARS: Final = tuple(
    totals.Row(
        label,
        refunds,
        cancels,
        Money(Decimal(amount), "EUR"),
        Money(Decimal(waiting), "EUR"),
        share,
        orders=0,
    )
    for label, refunds, cancels, amount, waiting, share in (
        ("Mon", 3, 1, "120.00", "0.00", 42),
        ("Tue", 6, 0, "284.50", "12.00", 100),
        ("Wed", 1, 2, "34.00", "0.00", 12),
        ("Thu", 0, 0, "0.00", "0.00", 0),
    )
)


@cache
def icon_names() -> list[str]:
    """Return the IDs of all icons in the sprite."""
    sprite = finders.find("inbox/icons.svg")
    return re.findall(r'id="([^"]+)"', Path(sprite).read_text()) if sprite else []


# Needs no login: it shows no real customer or store, and isn't served outside DEBUG.
@login_not_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show colors, sizes, icons, badges and notices, with links to all states."""
    now = timezone.now()
    context = {
        "surfaces": SURFACES,
        "inks": INKS,
        "signals": SIGNALS,
        "sizes": SIZES,
        "spaces": SPACES,
        "badges": samples.badges(now),
        "notices": samples.notices(now),
        "icons": icon_names(),
        "tones": [tone.value for tone in Tone],
        "motions": MOTIONS,
        "bars": totals.Table("day", "Refunded, by day", "Day", BARS),
        "chart": totals.chart(BARS),
        "states": [
            *((name, reverse("design-state", args=[name])) for name in STATES),
            *((code, reverse("design-error", args=[int(code)])) for code in ERRORS),
        ],
        "sum": Money(Decimal("128.40"), "EUR"),
        "section": "design",
    }
    return render(request, "design.html", context)
