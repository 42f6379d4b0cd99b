"""How a shop behaves by itself, as long as it lasts: replicas that lag, lists in any order,
cancellations that refund later, jobs that are forgotten, banks that take their time.

A fault (`faults.Rule`) spoils single requests; conditions hold for all of them. Off by default.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

# What becomes of an accepted orderCancel that refunds. "together": canceled and refunded in one
# moment, and the job says so. "job_open": canceled, the job goes on until the refund is booked.
# "job_done": canceled, the job says SUCCEEDED, the refund is booked later. "no_refund": the job
# says SUCCEEDED and nothing is ever booked; "no_refund_failed": it says FAILED, and the order is
# canceled all the same. "failed": the job fails and the order stays as it was.
CancelCourse = Literal[
    "together", "job_open", "job_done", "no_refund", "no_refund_failed", "failed"
]
# What the payment provider does with a booked refund; store credit is always there at once.
# "half_failure": of two or more transactions the last one fails; a single one succeeds.
RefundCourse = Literal["success", "pending_success", "pending_failure", "failure", "half_failure"]


class Conditions(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One shop's conditions. Where several courses are named, each time one is drawn.

    `lagging_reads`: the share (0 to 1) of reads of orders and what belongs to them that a replica
    answers which is 1 to `lag` changes behind, yet never shows what was replaced more than
    `lag_s` seconds ago. `shuffled`: lists without a promised order come in another one, the same
    each time, so that cursors stay good. `jobs_kept_s`: after so many seconds node() no longer
    knows the job of a cancellation; None: always. `keeps_return_notes`: whether the note given to
    returnProcess stands on the refund it makes, which is not documented. `refuses_bulk`: what it
    says instead of running a bulk operation. Seconds are of the
    store's clock.
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
    keeps_return_notes: bool = True
    refuses_bulk: str = ""


CALM: Final = Conditions()
