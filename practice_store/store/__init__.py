"""The running store: shops and their locks, delayed work, faults, webhooks and the ledger."""

from practice_store.store.new_shops import SCOPES
from practice_store.store.rate_limits import RESTORE_RATE
from practice_store.store.running_store import Store

__all__ = ["RESTORE_RATE", "SCOPES", "Store"]
