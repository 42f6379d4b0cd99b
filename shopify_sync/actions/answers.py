"""Read a mutation's answer: its userErrors and the ID of what it created. Pure."""

from __future__ import annotations

from typing import Final

from core.json_types import JsonObject
from orders.models import OrderAction
from orders.previews import decode_proposal
from orders.shopify_port import Accepted, Goal, NoOutcome, Rejected
from shopify_sync import mapping

_USER_ERRORS: Final = {
    Goal.CANCEL_SHIPMENT: ("fulfillmentCancel", "userErrors"),
    Goal.CANCEL_ORDER: ("orderCancel", "orderCancelUserErrors"),
    Goal.REFUND: ("refundCreate", "userErrors"),
    Goal.RETURN: ("returnProcess", "userErrors"),
}
# The objects an accepted mutation returns.
_RESULTS: Final = {
    Goal.CANCEL_SHIPMENT: ("fulfillment",),
    Goal.CANCEL_ORDER: ("jobResult", "job"),
    Goal.REFUND: ("refund",),
    Goal.RETURN: ("return",),
}


# How Shopify says that an earlier send of the same request is still being worked on.
_IN_PROGRESS: Final = ("already in progress", "currently in progress")


def classify(action: OrderAction, index: int, data: JsonObject) -> Accepted | Rejected | NoOutcome:
    """Sort the `data` of the answer to an action's step by what it proves."""
    goal = Goal(action.steps[index]["goal"])
    payload, errors = user_errors(goal, data)
    result = result_of(action, index, payload)
    if errors is None or bool(errors) == bool(result):
        # No payload, or both or neither of a result and an error: not an answer to rely on.
        return NoOutcome(" ".join(errors or ()))
    if any(phrase in " ".join(errors) for phrase in _IN_PROGRESS):
        return NoOutcome(" ".join(errors))
    if errors:
        return Rejected(tuple(errors))
    if goal == Goal.CANCEL_ORDER:
        return Accepted(job_gid=result)
    return Accepted(refund_gid=refund_gid(result))


def user_errors(goal: str, data: JsonObject) -> tuple[JsonObject, list[str] | None]:
    """Return the payload and the messages of its userErrors.

    The messages are None if the payload or its list of errors is missing, as opposed to an empty
    list for an accepted mutation.
    """
    field, errors_field = _USER_ERRORS[Goal(goal)]
    payload = data.get(field)
    if not isinstance(payload, dict) or not isinstance(payload.get(errors_field), list):
        return {}, None
    errors = payload[errors_field]
    texts = (e.get("message", "") if isinstance(e, dict) else e for e in errors)
    return payload, [mapping.to_text(text) for text in texts]


def result_of(action: OrderAction, index: int, payload: JsonObject) -> str:
    """Return the GID of what the mutation created or started; "" if there's none.

    For a processed return, that's its refund if the answer says which one, else the return.
    """
    goal = Goal(action.steps[index]["goal"])
    for name in _RESULTS[goal]:
        made = payload.get(name)
        if isinstance(made, dict) and made.get("id"):
            refund = _refund_through(action, made) if goal == Goal.RETURN else ""
            return refund or mapping.to_text(made["id"])
    return ""


def refund_gid(result: str) -> str:
    """Return `result` if it's a refund's GID, else ""."""
    return result if result.startswith("gid://shopify/Refund/") else ""


def _refund_through(action: OrderAction, made: JsonObject) -> str:
    """Return the refund with the action's marker, else the only new one, else ""."""
    found = made.get("refunds")
    listed = found.get("nodes") if isinstance(found, dict) else None
    refunds = [r for r in listed or () if isinstance(r, dict) and r.get("id")]
    for refund in refunds:
        if mapping.to_text(refund.get("note")).rstrip().endswith(action.note_marker):
            return mapping.to_text(refund["id"])
    through = decode_proposal(action.proposal).through
    before = set(through.refunds_before) if through else set()
    new = [mapping.to_text(r["id"]) for r in refunds if r["id"] not in before]
    return new[0] if len(new) == 1 else ""
