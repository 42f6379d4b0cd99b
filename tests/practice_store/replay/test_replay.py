"""The replay of recordings, with small ones written here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.practice_store.replay import compare as replay
from tests.practice_store.replay.recorded import steps

CAD = {
    "shopMoney": {"amount": "15.0", "currencyCode": "CAD"},
    "presentmentMoney": {"amount": "15.0", "currencyCode": "CAD"},
}
ORDER = "gid://shopify/Order/8838022168882"
SALE = "gid://shopify/OrderTransaction/10572748390706"
HELD = {
    "id": ORDER,
    "totalPriceSet": CAD,
    "currentTotalPriceSet": CAD,
    "lineItems": {
        "nodes": [
            {
                "id": "gid://shopify/LineItem/19495196393778",
                "title": "Mug",
                "quantity": 1,
                "originalUnitPriceSet": CAD,
            }
        ]
    },
    "transactions": [
        {"id": SALE, "kind": "SALE", "status": "SUCCESS", "gateway": "manual", "amountSet": CAD}
    ],
}


def recording(
    message: str = "Refund amount $25.00 is greater than net payment received $15.00",
) -> Any:
    """A request without its text, against an order that was there before."""
    return {
        "variables": {
            "input": {
                "orderId": ORDER,
                "note": "too much",
                "transactions": [
                    {
                        "amount": "25.00",
                        "gateway": "manual",
                        "kind": "REFUND",
                        "orderId": ORDER,
                        "parentId": SALE,
                    }
                ],
            }
        },
        "mutation": {
            "response": {
                "data": {
                    "refundCreate": {
                        "refund": None,
                        "order": {"id": ORDER, "displayFinancialStatus": "PAID"},
                        "userErrors": [{"field": None, "message": message}],
                    }
                }
            }
        },
        "upstreamCalls": [{"query": "query", "response": {"body": {"data": {"order": HELD}}}}],
    }


def write(folder: Path, name: str, content: Any) -> None:
    (folder / f"2025-01_{name}.json").write_text(json.dumps(content))


def test_a_request_is_written_from_its_answer_and_its_order_seeded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "over-refund", recording())
    assert replay.main([str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "1 files, 1 steps, 1 agree, 0 differ; 0 differences in money" in said


def test_another_refusal_is_grave(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "over-refund", recording("Something else"))
    assert replay.main([str(tmp_path), "--differences"]) == 1
    assert "refusals: .data.refundCreate.userErrors[0].message" in capsys.readouterr().out


def test_a_file_that_cannot_be_replayed_fails_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "over-refund", recording())
    write(tmp_path, "empty", {"notes": "nothing in it"})
    assert replay.main([str(tmp_path)]) == 1
    assert "NOT REPLAYED 2025-01_empty" in capsys.readouterr().out


def test_a_folder_without_recordings_fails(tmp_path: Path) -> None:
    assert replay.main([str(tmp_path)]) == 1


def test_requests_and_answers_are_found_in_whatever_shape() -> None:
    shop = {"data": {"shop": {"name": "x"}}}
    found = steps(
        {
            "setup": {"one": {"query": "{ shop { name } }", "response": {"payload": shop}}},
            "cases": [{"request": {"document": "{ shop { name } }"}, "response": {"body": shop}}],
            "refused": {"response": {"errors": [{"message": "no text of it"}]}},
        }
    )
    assert [step.operation for step in found] == ["shop", "shop", "refused requests"]
    assert [bool(step.trouble) for step in found] == [False, False, True]
