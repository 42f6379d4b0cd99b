"""Sweeps that no single bad row can stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final, TypeVar

logger = logging.getLogger(__name__)

Key = TypeVar("Key")
# How long to leave a row alone after an unexpected error.
AGAIN_AFTER: Final = timedelta(minutes=1)


def each(
    keys: Iterable[Key],
    work: Callable[[Key], object],
    *,
    put_off: Callable[[Key], object] | None = None,
    seconds: float = float("inf"),
    stops: tuple[type[Exception], ...] = (),
) -> int:
    """Do the work for every row, each on its own; return how many succeeded.

    An error is logged, and `put_off` should postpone the row, so that neither the rows behind it
    nor the next sweep wait for it. No row is started after `seconds`; the next sweep continues.
    `stops` are errors that end the sweep itself, such as a time limit.
    """
    until, done = time.monotonic() + seconds, 0
    for key in keys:
        if time.monotonic() >= until:
            break
        try:
            work(key)
            done += 1
        except stops:
            raise
        except Exception:
            logger.exception("%s %s failed", getattr(work, "__name__", work), key)
            if put_off is not None:
                _rest(put_off, key, stops)
    return done


def _rest(put_off: Callable[[Key], object], key: Key, stops: tuple[type[Exception], ...]) -> None:
    try:
        put_off(key)
    except stops:
        raise
    except Exception:
        logger.exception("%s could not be put off", key)
