"""What must hold between our rows and the shop's books, whatever happened. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_MARKER = re.compile(r"\[ax:([0-9a-f]+)\]")
_DONE_WITH_REFUND = {"succeeded", "reversed"}
_NEVER_APPLIED = {"rejected", "withdrawn", "declined", "expired"}
_SETTLED = _NEVER_APPLIED | _DONE_WITH_REFUND | {"partial"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionFact:
    """One of our actions, as its row ended. `cancels` and `refunds`: what it was to do."""

    id: int
    order: str
    kind: str
    state: str
    marker: str
    key: str
    amount: Decimal | None
    message: str = ""

    @property
    def cancels(self) -> bool:
        return self.kind in {"cancel", "cancel_and_refund"}

    @property
    def refunds(self) -> bool:
        return self.kind in {"refund", "cancel_and_refund"}


def facts_of(actions: Iterable[Any]) -> list[ActionFact]:
    """From OrderAction rows (order selected)."""
    return [
        ActionFact(
            id=a.pk, order=a.order.gid, kind=a.kind, state=a.state, marker=a.marker,
            key=str(a.idempotency_key), amount=a.amount, message=a.message,
        )
        for a in actions
    ]  # fmt: skip


def violations(
    actions: Sequence[ActionFact],
    ledger: dict[str, Any],
    *,
    accepted: Iterable[int] = (),
    is_drained: bool = True,
) -> list[str]:
    """Each broken guarantee as a sentence, one per action or refund it happened to.

    `ledger` is the practice store's; `accepted` are ids of actions a caller was promised.
    """
    refunds: dict[str, list[dict[str, Any]]] = {}
    for refund in ledger["refunds"]:
        if marker := _marker(refund["note"]):
            refunds.setdefault(marker, []).append(refund)
    canceled_by = {_marker(c["staff_note"]): c for c in ledger["cancelations"]}
    canceled = {c["order"] for c in ledger["cancelations"]}
    # A cancelation with all of the money books its refund without a note of ours.
    unmarked = Counter(r["order"] for r in ledger["refunds"] if not _marker(r["note"]))
    broken = []
    for action in actions:
        own = refunds.get(action.marker, [])
        name = f"action {action.id} ({action.kind}, {action.state})"
        by_cancel = action.marker in canceled_by
        moved = len(own) + (unmarked[action.order] if by_cancel and action.refunds else 0)
        if moved > 1:
            broken.append(f"{name}: refunded {moved} times")
        if action.state == "succeeded" and action.refunds and moved == 0:
            broken.append(f"{name}: done without a refund")
        if action.state == "succeeded" and action.cancels and action.order not in canceled:
            broken.append(f"{name}: done, and the order is not canceled")
        if action.state in _NEVER_APPLIED and (moved or by_cancel):
            broken.append(f"{name}: said not to have happened, and it did")
        if action.state == "partial" and (moved or not by_cancel):
            broken.append(f"{name}: said to be half done, and it is not")
        if own and action.amount is not None and Decimal(own[0]["amount"]) != action.amount:
            broken.append(f"{name}: {own[0]['amount']} instead of {action.amount}")
        if is_drained and action.state not in _SETTLED:
            broken.append(f"{name}: still open: {action.message}")
    known = {action.marker for action in actions}
    broken += [f"a refund of unknown action {m}" for m in refunds if m not in known]
    ids = {action.id for action in actions}
    broken += [f"action {pk} was accepted and is lost" for pk in accepted if pk not in ids]
    return broken + _over_refunded(ledger)


def _over_refunded(ledger: dict[str, Any]) -> list[str]:
    paid: Counter[str] = Counter()
    returned: Counter[str] = Counter()
    for moved in ledger["transactions"]:
        if moved["status"] != "SUCCESS":
            continue
        # Cents keep Counter's integers; three decimals are the most a currency has.
        thousandths = int(Decimal(moved["amount"]) * 1000)
        if moved["kind"] in {"SALE", "CAPTURE"}:
            paid[moved["order"]] += thousandths
        elif moved["kind"] == "REFUND":
            returned[moved["order"]] += thousandths
    return [
        f"{order}: more refunded than paid" for order in returned if returned[order] > paid[order]
    ]


def _marker(note: str | None) -> str:
    found = _MARKER.search(note or "")
    return found[1] if found else ""
