"""The texts that describe an action's status: one table for every screen, list, API response
and message.

A state says what may still happen; an outcome (models.Outcome) says why the action ended.
`outcome_of` turns both into the code of one entry here, so that people never see a database value
or a constant of Shopify's API.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orders.models import ActionKind, ActionState, OrderAction, Outcome
from orders.money import Money
from orders.statuses.badges import Tone

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise as _StrPromise


class Going(StrEnum):
    """Codes for actions still under way, and for ended ones whose outcome was never stored."""

    AWAITING_APPROVAL = "awaiting_approval"
    UNDOABLE = "undoable"
    STARTING = "starting"
    FROZEN = "frozen"
    SENDING = "sending"
    WORKING = "working"
    UNKNOWN = "unknown"
    BLOCKED = "blocked"
    NEEDS_HUMAN = "needs_human"
    CANCELED_ONLY = "canceled_only"
    NOT_CARRIED_OUT = "not_carried_out"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Words:
    """An action's status as people read it.

    `code` is stable and part of the API. `title` reads like "Refund €12.50: done by Alice";
    `label` is its short form for lists, without the action. `text` may be empty.
    """

    code: str
    tone: Tone
    label: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """One status in the table. `keeps_message`: prefer the action's stored message to `text`."""

    tone: Tone
    label: _StrPromise | str
    title: _StrPromise
    text: _StrPromise | str = ""
    keeps_message: bool = True


_NOTHING_SENT: Final = gettext_lazy("Nothing was sent.")
_NOTHING_CHANGED: Final = gettext_lazy("Nothing was changed.")
_OUTCOMES: Final[dict[str, _Entry]] = {
    Going.AWAITING_APPROVAL: _Entry(
        Tone.ATTENTION,
        gettext_lazy("Waiting for approval"),
        gettext_lazy("%(what)s: waiting for approval"),
        gettext_lazy("Nothing has been sent yet. A supervisor will see it under Decisions."),
    ),
    Going.UNDOABLE: _Entry(
        Tone.INFO,
        gettext_lazy("Can be undone"),
        gettext_lazy("%(what)s: can still be undone"),
    ),
    Going.STARTING: _Entry(
        Tone.INFO,
        gettext_lazy("Starting"),
        gettext_lazy("%(what)s: starting…"),
    ),
    Going.FROZEN: _Entry(
        Tone.WARNING,
        gettext_lazy("Waiting: the store is frozen"),
        gettext_lazy("%(what)s: waiting, the store is frozen"),
        gettext_lazy("Nothing will be sent to Shopify until an administrator unfreezes the store."),
        keeps_message=False,
    ),
    Going.SENDING: _Entry(
        Tone.INFO,
        gettext_lazy("Sending to Shopify"),
        gettext_lazy("%(what)s: sending to Shopify…"),
    ),
    Going.WORKING: _Entry(
        Tone.INFO,
        gettext_lazy("Shopify is working on it"),
        gettext_lazy("%(what)s: Shopify is working on it…"),
    ),
    Going.UNKNOWN: _Entry(
        Tone.WARNING,
        gettext_lazy("Checking with Shopify"),
        gettext_lazy("%(what)s: checking with Shopify"),
        gettext_lazy(
            "Shopify didn’t respond. We’re checking. Don’t repeat this in Shopify’s admin."
        ),
    ),
    Going.BLOCKED: _Entry(
        Tone.CRITICAL,
        gettext_lazy("Waiting for an administrator"),
        gettext_lazy("%(what)s: waiting for an administrator"),
        gettext_lazy("An administrator needs to fix the Shopify connection. Nothing was changed."),
    ),
    Going.NEEDS_HUMAN: _Entry(
        Tone.CRITICAL,
        gettext_lazy("Compare with Shopify"),
        gettext_lazy("%(what)s: compare with Shopify"),
        gettext_lazy(
            "We don’t know whether this happened. A supervisor needs to check in Shopify."
        ),
    ),
    Outcome.DONE: _Entry(
        Tone.SUCCESS,
        Outcome.DONE.label,
        gettext_lazy("%(what)s: done by %(who)s"),
    ),
    Outcome.DONE_BY_HAND: _Entry(
        Tone.SUCCESS,
        Outcome.DONE_BY_HAND.label,
        gettext_lazy("%(what)s: done, according to a supervisor"),
    ),
    Outcome.AWAITING_BANK: _Entry(
        Tone.INFO,
        Outcome.AWAITING_BANK.label,
        gettext_lazy("%(what)s: waiting for the bank"),
        gettext_lazy("Shopify recorded the refund; the bank has not confirmed it yet."),
        keeps_message=False,
    ),
    Outcome.FAILED_AT_BANK: _Entry(
        Tone.CRITICAL,
        Outcome.FAILED_AT_BANK.label,
        gettext_lazy("%(what)s: failed at the bank"),
        gettext_lazy("The money was not returned."),
    ),
    Outcome.PARTLY_FAILED_AT_BANK: _Entry(
        Tone.CRITICAL,
        Outcome.PARTLY_FAILED_AT_BANK.label,
        gettext_lazy("%(what)s: failed in part at the bank"),
        gettext_lazy("Part of the money was not returned."),
    ),
    Outcome.REFUSED_BY_SHOPIFY: _Entry(
        Tone.CRITICAL,
        Outcome.REFUSED_BY_SHOPIFY.label,
        gettext_lazy("%(what)s: refused by Shopify"),
        _NOTHING_CHANGED,
    ),
    Outcome.REFUSED_BY_RULES: _Entry(
        Tone.CRITICAL,
        Outcome.REFUSED_BY_RULES.label,
        gettext_lazy("%(what)s: stopped by our rules"),
        _NOTHING_SENT,
    ),
    Outcome.STALE: _Entry(
        Tone.WARNING,
        Outcome.STALE.label,
        gettext_lazy("%(what)s: not sent because the order changed"),
        gettext_lazy("Review the order again."),
    ),
    Outcome.ORDER_GONE: _Entry(
        Tone.CRITICAL,
        Outcome.ORDER_GONE.label,
        gettext_lazy("%(what)s: not sent because Shopify no longer shows the order"),
        _NOTHING_SENT,
        keeps_message=False,
    ),
    Outcome.NOT_BOOKED: _Entry(
        Tone.CRITICAL,
        Outcome.NOT_BOOKED.label,
        gettext_lazy("%(what)s: Shopify recorded no refund"),
        gettext_lazy("The money has not been returned yet."),
    ),
    Outcome.NOT_DONE_BY_HAND: _Entry(
        Tone.CRITICAL,
        Outcome.NOT_DONE_BY_HAND.label,
        gettext_lazy("%(what)s: not carried out, according to a supervisor"),
    ),
    Outcome.WITHDRAWN: _Entry(
        Tone.DEFAULT,
        Outcome.WITHDRAWN.label,
        gettext_lazy("%(what)s: withdrawn"),
    ),
    Outcome.UNINSTALLED: _Entry(
        Tone.WARNING,
        Outcome.UNINSTALLED.label,
        gettext_lazy("%(what)s: not sent because the app was uninstalled"),
        _NOTHING_SENT,
        keeps_message=False,
    ),
    Outcome.ERASED: _Entry(
        Tone.WARNING,
        Outcome.ERASED.label,
        gettext_lazy("%(what)s: not sent because the customer’s data had to be deleted"),
        _NOTHING_SENT,
        keeps_message=False,
    ),
    Outcome.DECLINED: _Entry(
        Tone.WARNING,
        Outcome.DECLINED.label,
        gettext_lazy("%(what)s: declined"),
        _NOTHING_SENT,
    ),
    Outcome.NOT_APPROVED: _Entry(
        Tone.WARNING,
        Outcome.NOT_APPROVED.label,
        gettext_lazy("%(what)s: not approved in time"),
        gettext_lazy("Nothing was sent. Submit the request again."),
        keeps_message=False,
    ),
    Outcome.NOT_SENT: _Entry(
        Tone.WARNING,
        Outcome.NOT_SENT.label,
        gettext_lazy("%(what)s: not sent within a day"),
        gettext_lazy("Nothing was sent. Submit the request again."),
        keeps_message=False,
    ),
    # Actions that ended before outcomes were stored.
    Going.CANCELED_ONLY: _Entry(
        Tone.CRITICAL,
        gettext_lazy("Canceled, refund failed"),
        gettext_lazy("Canceled, refund failed"),
        gettext_lazy("The money has not been returned yet."),
    ),
    Going.NOT_CARRIED_OUT: _Entry(
        Tone.CRITICAL,
        gettext_lazy("Not carried out"),
        gettext_lazy("%(what)s: not carried out"),
        _NOTHING_CHANGED,
    ),
    Going.EXPIRED: _Entry(
        Tone.WARNING,
        gettext_lazy("Expired"),
        gettext_lazy("%(what)s: expired"),
        gettext_lazy("Nothing was sent. Submit the request again."),
    ),
}
# Labels for a refund's outcome when the cancellation before it succeeded.
_AFTER_CANCELING: Final[dict[str, _StrPromise]] = {
    Outcome.FAILED_AT_BANK: gettext_lazy("Canceled; the refund failed at the bank"),
    Outcome.PARTLY_FAILED_AT_BANK: gettext_lazy("Canceled; the refund failed in part at the bank"),
    Outcome.REFUSED_BY_SHOPIFY: gettext_lazy("Canceled; Shopify refused the refund"),
    Outcome.REFUSED_BY_RULES: gettext_lazy("Canceled; our rules stopped the refund"),
    Outcome.STALE: gettext_lazy("Canceled; not refunded because the order changed"),
    Outcome.ORDER_GONE: gettext_lazy("Canceled; Shopify no longer shows the order"),
    Outcome.NOT_BOOKED: gettext_lazy("Canceled; Shopify recorded no refund"),
    Outcome.NOT_DONE_BY_HAND: gettext_lazy("Canceled; not refunded, according to a supervisor"),
}
_BY_STATE: Final[dict[str, str]] = {
    ActionState.AWAITING_APPROVAL: Going.AWAITING_APPROVAL,
    ActionState.SENDING: Going.SENDING,
    ActionState.PENDING: Going.WORKING,
    ActionState.UNKNOWN: Going.UNKNOWN,
    ActionState.BLOCKED: Going.BLOCKED,
    ActionState.NEEDS_HUMAN: Going.NEEDS_HUMAN,
    ActionState.SUCCEEDED: Outcome.DONE,
    ActionState.PARTIAL: Going.CANCELED_ONLY,
    ActionState.REJECTED: Going.NOT_CARRIED_OUT,
    ActionState.REVERSED: Outcome.FAILED_AT_BANK,
    ActionState.WITHDRAWN: Outcome.WITHDRAWN,
    ActionState.DECLINED: Outcome.DECLINED,
    ActionState.EXPIRED: Going.EXPIRED,
    ActionState.AWAITING_BANK: Outcome.AWAITING_BANK,
}
# By the kind of its origin.
_PLACES: Final[dict[str, _StrPromise]] = {
    "order": gettext_lazy("on the order’s page"),
    "conversation": gettext_lazy("in a conversation"),
    "frame": gettext_lazy("in another help desk"),
    "api": gettext_lazy("by API"),
}
_UNSENT: Final = frozenset({ActionState.QUEUED, ActionState.BLOCKED})


def outcome_of(action: OrderAction) -> str:
    """The code of an action's current status or final outcome. Reads its order's store."""
    if action.outcome:
        return action.outcome
    if action.state in _UNSENT and not action.maybe_applied and action.order.store.is_frozen:
        return Going.FROZEN
    if action.state == ActionState.QUEUED:
        return Going.UNDOABLE if action.next_attempt_at and not action.attempts else Going.STARTING
    return _BY_STATE[action.state]


def default_outcome(state: str) -> str:
    """The outcome implied by a settled state alone; "" if the state does not imply one."""
    code = _BY_STATE.get(state, "")
    return code if code in Outcome.values else ""


def words(action: OrderAction) -> Words:
    """Describe an action as it is now. Reads its order, the order's store and the requester."""
    code = outcome_of(action)
    entry = _OUTCOMES[code]
    label, title = str(entry.label), str(entry.title)
    if action.state == ActionState.PARTIAL and code in _AFTER_CANCELING:
        label = title = str(_AFTER_CANCELING[code])
    who = action.requested_by.get_short_name() or action.requested_by.get_username()
    return Words(
        code=str(code),
        tone=entry.tone,
        label=label,
        title=title % {"what": what(action), "who": who},
        text=_text(action, entry),
    )


def label(code: str) -> str:
    """A code's label for a list or a filter; "" for an unknown code."""
    return str(_OUTCOMES[code].label) if code in _OUTCOMES else ""


def what(action: OrderAction) -> str:
    """Name the action: "Refund €12.50", "Cancel order"."""
    kind = str(action.get_kind_display())
    return f"{kind} {action.money.format()}" if action.money else kind


def where(action: OrderAction) -> str:
    """Say where the agent requested an action; "" if that is unknown."""
    return str(_PLACES.get(action.origin.partition(":")[0], ""))


def kept_on_purpose(action: OrderAction) -> Money | None:
    """What a cancellation with a partial refund left with the shop, as confirmed; else None."""
    if action.kind != ActionKind.CANCEL_AND_REFUND or action.money is None:
        return None
    paid = _net_when_confirmed(action)
    return paid - action.money if paid is not None and paid > action.money else None


def _text(action: OrderAction, entry: _Entry) -> str:
    if action.message and entry.keeps_message:
        return action.message
    kept = kept_on_purpose(action)
    paid = _net_when_confirmed(action)
    if action.state == ActionState.SUCCEEDED and kept and paid and action.money:
        sums = {"refunded": action.money, "paid": paid, "kept": kept}
        return _("Canceled, and %(refunded)s of %(paid)s refunded; %(kept)s kept on purpose.") % {
            name: money.format() for name, money in sums.items()
        }
    return str(entry.text)


def _net_when_confirmed(action: OrderAction) -> Money | None:
    """The refundable sum when the action was confirmed, from the facts in its proposal.

    None for a proposal without readable facts, or in mixed currencies.
    """
    facts = (action.proposal or {}).get("facts") or {}
    try:
        received, refunded = (
            Money.from_wire(*str(facts[name]).split()) for name in ("received", "refunded")
        )
    except (KeyError, TypeError, ValueError):
        return None
    same_currency = received.currency == refunded.currency == action.currency
    return received - refunded if same_currency else None
