"""The audit log: written in the caller's transaction, sealed by a job, verifiable by anyone.

record    add an entry (orders.audit.entries)
seal      append what has no seal yet to the chain (orders.audit.sealing)
verify    recompute the chain (orders.audit.verification)
"""

from orders.audit.entries import record
from orders.audit.sealing import seal, seal_for
from orders.audit.verification import Verification, verify

__all__ = ["Verification", "record", "seal", "seal_for", "verify"]
