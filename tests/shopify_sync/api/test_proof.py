"""Which answers prove that nothing happened: these statuses and codes, and no others."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from core.encryption import Secret
from shopify_sync.api import client as client_module
from shopify_sync.api.client import AdminClient
from shopify_sync.api.errors import (
    OutcomeUnknown,
    Refused,
)
from tests.shopify_sync.api.test_wire import (
    DOMAIN,
    Answer,
    Pool,
)

Asking = Callable[[int, bytes], AdminClient]

# About the form of the request, so the mutation never ran.
PROVEN_STATUSES = {406, 411, 413, 414, 415}
# Of these, an administrator is told, or they say how long to wait.
OTHER_MEANING = {401, 402, 403, 423, 429, 430}
UNPROVEN_STATUSES = sorted(set(range(400, 500)) - PROVEN_STATUSES - OTHER_MEANING)
PROVEN_CODES = [
    "MAX_COST_EXCEEDED",
    "MAX_INPUT_SIZE_EXCEEDED",
    "INVALID_VARIABLE",
    "PARSE_ERROR",
    "argumentLiteralsIncompatible",
    "argumentNotAccepted",
    "missingRequiredArguments",
    "missingRequiredInputObjectAttribute",
    "selectionMismatch",
    "undefinedDirective",
    "undefinedField",
    "undefinedType",
    "variableMismatch",
    "variableNotDefined",
    "variableNotUsed",
    "variableRequiresValidType",
]
UNPROVEN_CODES = ["", "TIMEOUT", "INTERNAL_SERVER_ERROR", "BAD_USER_INPUT", "undefinedfield", "NEW"]


def errors(*codes: str) -> bytes:
    return json.dumps(
        {"errors": [{"message": "no", "extensions": {"code": code}} for code in codes]}
    ).encode()


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Asking:
    """asking(status, body): a client of a shop that answers so."""

    def asking(status: int, body: bytes) -> AdminClient:
        pool: Any = Pool([Answer(status, body)])
        monkeypatch.setattr(client_module, "_pool", lambda: pool)
        return AdminClient(domain=DOMAIN, token=Secret("shpat_1"))

    return asking


@pytest.mark.parametrize("status", sorted(PROVEN_STATUSES))
def test_a_status_about_the_requests_form_proves_that_nothing_happened(
    asking: Asking, status: int
) -> None:
    with pytest.raises(Refused):
        asking(status, b"").execute("ShopInfo", {})


def test_after_any_other_status_a_mutation_may_have_happened(asking: Asking) -> None:
    for status in UNPROVEN_STATUSES:
        with pytest.raises(OutcomeUnknown):
            asking(status, b"").execute("ShopInfo", {})


@pytest.mark.parametrize("code", PROVEN_CODES)
def test_a_code_from_before_the_run_proves_that_nothing_happened(asking: Asking, code: str) -> None:
    with pytest.raises(Refused):
        asking(200, errors(code)).execute("ShopInfo", {})


@pytest.mark.parametrize("code", UNPROVEN_CODES)
def test_after_any_other_code_a_mutation_may_have_happened(asking: Asking, code: str) -> None:
    with pytest.raises(OutcomeUnknown):
        asking(200, errors(code)).execute("ShopInfo", {})
    with pytest.raises(OutcomeUnknown):
        asking(200, errors("undefinedField", code)).execute("ShopInfo", {})


def test_a_query_that_failed_inside_shopify_was_not_refused(asking: Asking) -> None:
    """A refused list counts as one that can't be read on; after this, the order is read again."""
    with pytest.raises(OutcomeUnknown):
        asking(200, errors("INTERNAL_SERVER_ERROR")).read("ShopInfo", {})
    with pytest.raises(Refused):
        asking(200, errors("BAD_USER_INPUT")).read("ShopInfo", {})
    with pytest.raises(OutcomeUnknown):
        asking(500, b"").read("ShopInfo", {})
    with pytest.raises(Refused):
        asking(499, b"").read("ShopInfo", {})
