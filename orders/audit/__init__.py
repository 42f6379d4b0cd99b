"""The audit log: written in the caller's transaction, sealed by a job, verifiable by anyone.

record          add an entry (orders.audit.entries)
seal            append what has no seal yet to the chain (orders.audit.sealing)
verify          recompute the chain (orders.audit.verification)
check_actions   compare the actions with what the log says of them (orders.audit.tampered_actions)
"""

from orders.audit.entries import current_actor, record
from orders.audit.sealing import seal, seal_for
from orders.audit.tampered_actions import check_actions
from orders.audit.verification import PASSKEY_ADDED, Verification, verify

__all__ = [
    "PASSKEY_ADDED",
    "Verification",
    "check_actions",
    "current_actor",
    "record",
    "seal",
    "seal_for",
    "verify",
]
