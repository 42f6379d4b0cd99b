"""Rare, short-lived and error states, each on a page of its own (/design/…, DEBUG only).

They can be looked at and tested here without breaking a shop first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from inbox.design import samples
from inbox.panel.contexts import BesideConversation
from inbox.visibility import EVERYTHING
from orders.errors import Refusal
from orders.models import ActionState
from orders.panels import OrdersPanel

Context = dict[str, Any]
# Returns the template and its context.
State = Callable[[datetime], tuple[str, Context]]
ERRORS: Final = ("400", "403", "404", "500")


def _panel(shown: Context | None = None, **more: Any) -> State:
    """Return the state of an empty panel; `shown` changes the panel, `more` the context."""
    return _any_panel(samples.empty_panel, shown, more)


def _full(shown: Context | None = None, **more: Any) -> State:
    """Return the state of a panel with an order."""
    return _any_panel(samples.panel, shown, more)


def _any_panel(made: Callable[..., OrdersPanel], shown: Context | None, more: Context) -> State:
    def make(now: datetime) -> tuple[str, Context]:
        rest: Context = {
            "searched": ["jane@example.com"],
            "is_arriving": False,
            "problem": "",
            "may_connect": False,
            "is_unreachable": False,
        }
        return "orders/_panel.html", rest | {"panel": made(now, **(shown or {}))} | more

    return make


def _result(state: ActionState, **more: Any) -> State:
    def make(now: datetime) -> tuple[str, Context]:
        done = {
            ActionState.SUCCEEDED: samples.canceled(now),
            ActionState.PARTIAL: {"cancelled_at": now},
        }.get(state, {})
        made = {"card": samples.card(now, **done), "notice": samples.notice(state, now)}
        return "orders/_result.html", made | more

    return make


def _refused(now: datetime) -> tuple[str, Context]:
    return "orders/_result.html", {"card": samples.card(now), "refusal": samples.refusal()}


def _review(**changes: Any) -> State:
    def make(now: datetime) -> tuple[str, Context]:
        return "orders/_review.html", {
            "card": samples.card(now),
            "preview": samples.preview(now, **changes),
            "confirm_url": "#",
            "back_url": "#",
            "messages_preview": samples.drafts(),
        }

    return make


# Name in the URL → state.
STATES: Final[dict[str, State]] = {
    "panel-no-store": _panel({"stores": ()}),
    "panel-no-store-admin": _panel({"stores": ()}, may_connect=True),
    "panel-no-address": _panel(searched=[]),
    "panel-arriving": _panel(is_arriving=True),
    "panel-nothing": _panel(),
    "panel-none-of-the-kind": _panel({"selection": samples.narrowed()}),
    "panel-unreachable": _full({"unreachable": True}, is_unreachable=True),
    "panel-more": _full({"has_more": True}),
    "panel-failed": lambda now: ("orders/_panel_failed.html", {}),
    "panel-loading": lambda now: ("orders/_panel_bones.html", {}),
    "dialog-loading": lambda now: ("_dialog_skeleton.html", {}),
    "result-sending": _result(ActionState.SENDING),
    "result-done": _result(
        ActionState.SUCCEEDED,
        shopify_ids=[("Shopify refund", "5000000003841")],
        reply_text="Your order #1043 was canceled.",
    ),
    "result-unknown": _result(ActionState.UNKNOWN),
    "result-partial": _result(ActionState.PARTIAL),
    "result-rejected": _result(ActionState.REJECTED),
    "result-awaiting-approval": _result(ActionState.AWAITING_APPROVAL),
    "result-refused": _refused,
    "review-changed": _review(changes=("Refunded: €0.00, now €20.00",)),
    "review-blocked": _review(
        blocked=Refusal("limit", "Above your daily limit of €5,000.00.", "Ask a supervisor.")
    ),
    "review-approval": _review(confirm_label="Ask for approval: Refund €128.40"),
}


# Needs no login: it shows no real customer or store, and isn't served outside DEBUG.
@login_not_required
@require_GET
def state(request: HttpRequest, name: str) -> HttpResponse:
    """Show one state on a page of its own."""
    if name not in STATES:
        raise Http404
    template, context = STATES[name](timezone.now())
    place = BesideConversation(samples.conversation(), EVERYTHING)
    context |= {"place": place, "part": template, "name": name}
    return render(request, "design_state.html", context)


@login_not_required
@require_GET
def error(request: HttpRequest, code: int) -> HttpResponse:
    """Show an error page, which DEBUG would replace with Django's own."""
    if str(code) not in ERRORS:
        raise Http404
    return render(request, f"{code}.html", status=code)
