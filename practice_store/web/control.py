"""POST /_practice/…: what tests and the demo change while the store runs."""

from __future__ import annotations

from typing import Any

import msgspec

from core.json_types import JsonObject
from practice_store.faults.lasting import Conditions
from practice_store.store import Store


def change(store: Store, name: str, data: Any) -> bool:
    """Set faults, move the clock or reset the store; return False for any other name.

    Raises ValueError, KeyError, TypeError or msgspec.ValidationError if the data doesn't fit.
    """
    if name == "faults":
        _set_faults(store, {"rules": data} if isinstance(data, list) else data)
    elif name == "clock":
        store.advance(float(data["advance_s"]))
    elif name == "reset":
        store.reset()
    else:
        return False
    return True


def _set_faults(store: Store, data: JsonObject) -> None:
    """Replace the fault rules by `rules`, and the conditions of `shop`, or of all, by
    `conditions`.

    What isn't named stays as it is.
    """
    if not {"rules", "conditions"} & data.keys():
        raise KeyError("rules")
    domain = data.get("shop", "")
    if domain and domain not in store.world.shops:
        raise ValueError(f"no shop {domain}")
    if "conditions" in data:
        store.set_conditions(msgspec.convert(data["conditions"], Conditions), domain)
    if "rules" in data:
        store.faults.set(data["rules"])
