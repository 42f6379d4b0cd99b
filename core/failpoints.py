"""Points where a test may kill the process; no effect unless FAILPOINTS names one.

`FAILPOINTS=answered`, or `answered:3` for the third pass, kills this process with SIGKILL there.
The deploy check shopify_sync.E005 refuses the variable in production.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

_passed: Counter[str] = Counter()


def failpoint(name: str) -> None:
    """Kill this process if FAILPOINTS names this point."""
    wanted = os.environ.get("FAILPOINTS")
    if not wanted:
        return
    for entry in wanted.split(","):
        where, _, nth = entry.partition(":")
        if where == name:
            _passed[name] += 1
            if _passed[name] == int(nth or 1):
                os.kill(os.getpid(), signal.SIGKILL)
