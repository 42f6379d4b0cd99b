"""Conditions that last: how a shop behaves until told otherwise.

Replicas that lag, lists in any order, cancellations that refund later, jobs that are forgotten,
banks that take their time. A fault (`rules.Rule`) spoils single requests; conditions apply to all
of them. Off by default.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

# What happens after orderCancel with a refund is accepted. "together": the order is canceled and
# refunded at once, and the job succeeds. "job_open": canceled, but the job runs until the refund is
# booked. "job_done": canceled and SUCCEEDED, but the refund is booked later. "no_refund": canceled
# and SUCCEEDED, but no refund is ever booked; "no_refund_failed": the same, but FAILED. "failed":
# the job fails and the order stays as it was.
CancelCourse = Literal[
    "together", "job_open", "job_done", "no_refund", "no_refund_failed", "failed"
]
# What the payment provider does with a booked refund; store credit always succeeds at once.
# "half_failure": the last of two or more transactions fails; a single one succeeds.
RefundCourse = Literal["success", "pending_success", "pending_failure", "failure", "half_failure"]


class Conditions(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One shop's conditions. Where several courses are given, each use draws one of them.

    `lagging_reads`: the share (0 to 1) of reads of orders, and of what belongs to them, that a
    replica answers. The replica is 1 to `lag` changes behind, but never shows data that was
    replaced more than `lag_s` seconds ago. `shuffled`: lists without a promised order come in a
    different one, the same every time, so that cursors stay valid. `jobs_kept_s`: after this many
    seconds, node() no longer finds the result of a cancellation job; None keeps it forever.
    `keeps_return_notes`: whether the note given to returnProcess ends up on the refund, which
    Shopify doesn't document. `refuses_bulk`: the error returned instead of starting a bulk
    operation. Seconds are those of the store's movable clock.
    """

    seed: int = 1
    lagging_reads: float = 0.0
    lag: int = 1
    lag_s: float = 30.0
    shuffled: bool = False
    cancels: tuple[CancelCourse, ...] = ("together",)
    refund_after_s: float = 5.0
    jobs_kept_s: float | None = None
    refunds: tuple[RefundCourse, ...] = ("success",)
    bank_s: float = 5.0
    # How long after a refund to a card its bank's reference is known; at Shopify it takes days.
    reference_s: float = 86_400.0
    keeps_return_notes: bool = True
    refuses_bulk: str = ""


CALM: Final = Conditions()
