"""Move our clock and the practice store's clock together."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from practice_store.store import Store

_real = timezone.now


class Clock:
    """Once made, `timezone.now()` of this process is this clock's. It starts at the real time
    and runs with it; `advance` moves it, and the shop does what is due by then."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ahead = timedelta(0)
        timezone.now = self.now

    def now(self) -> datetime:
        return _real() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)
        self._store.live_through(seconds)
