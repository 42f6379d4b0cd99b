"""Which refund a processed return's answer is about."""

from __future__ import annotations

from typing import Any

import pytest

from orders.models import ActionKind, OrderAction
from orders.shopify_port import Accepted, Goal
from shopify_sync.actions import answers

OLD, NEW, NEWER = (f"gid://shopify/Refund/{n}" for n in (1, 2, 3))
MARK = "[ax:0123456789]"


def action() -> OrderAction:
    """A refund through a return, of an order that had one refund before."""
    return OrderAction(
        kind=ActionKind.REFUND,
        marker=MARK[4:-1],
        steps=[{"goal": Goal.RETURN, "target": "ret-1"}],
        proposal={
            "kind": ActionKind.REFUND,
            "reason": "other",
            "reason_label": "Other",
            "amount": None,
            "targets": [],
            "is_full_refund": False,
            "lines": [],
            "shipping": None,
            "restock": False,
            "notify": False,
            "staff_note": "",
            "returned": "",
            "shipments_to_cancel": [],
            "facts": {},
            "through": {"gid": "ret-1", "name": "#1-R1", "units": [], "refunds_before": [OLD]},
        },
    )


def answered(refunds: Any) -> Any:
    made = {"id": "gid://shopify/Return/1", "refunds": refunds}
    return answers.classify(action(), 0, {"returnProcess": {"return": made, "userErrors": []}})


def refund(gid: str | None, note: str = "") -> dict[str, str | None]:
    return {"id": gid, "note": note}


def test_the_refund_with_the_actions_marker_is_its_own() -> None:
    listed = [refund(OLD), refund(NEW), refund(NEWER, f"Broken {MARK}")]
    assert answered({"nodes": listed}) == Accepted(refund_gid=NEWER)


@pytest.mark.parametrize(
    ("gids", "own"),
    [([OLD, NEW], NEW), ([NEW], NEW), ([OLD], ""), ([], ""), ([OLD, NEW, NEWER], "")],
)
def test_without_a_marker_only_a_single_new_refund_is_its_own(gids: list[str], own: str) -> None:
    assert answered({"nodes": [refund(gid) for gid in gids]}) == Accepted(refund_gid=own)


@pytest.mark.parametrize(
    "refunds",
    [
        None,
        [refund(NEW)],
        "none",
        {},
        {"nodes": None},
        {"nodes": [None]},
        {"nodes": [{"note": MARK}, refund(None, MARK), refund("")]},
    ],
)
def test_an_accepted_return_without_a_readable_refund_is_still_accepted(refunds: Any) -> None:
    assert answered(refunds) == Accepted()
