"""Confirm a summary: request exactly what it shows, once, or say what changed."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from inbox import access, fragment_requests
from inbox.frames import tokens
from inbox.panel.contexts import Place
from inbox.views.orders import actions, summary
from inbox.visibility import scope_of
from orders import (
    previews,
    services,
)
from orders.errors import ActionRefused, InvalidMoney, Refusal, ShopUnreachable, StalePreview
from orders.models import ActionKind, Order, OrderAction


@require_POST
def confirm(request: HttpRequest, place: Place, order_id: int) -> HttpResponse:
    """Request exactly the action that was shown, once, or refuse.

    Repeating the same click shows that action's result, whatever has changed since.
    """
    token, by, now = request.POST.get("token", ""), access.agent_of(request), timezone.now()
    # Before any other check, because the first click may have made them all fail by now.
    earlier = _earlier_action(token, order_id, by)
    if earlier and scope_of(by).sees_store(earlier.order.store_id):
        return actions.render_action(request, place, earlier.order, earlier)
    order = place.get_order(order_id)
    context = summary.dialog_context(request, place, order, now)
    refusal = place.money_refusal(request.user, order) or _window_refusal(
        request, place, order, token
    )
    if refusal:
        context["refusal"] = refusal
        return render(request, "orders/result.html", context, status=403)
    try:
        action = services.request_action(
            token=token,
            order_id=order.pk,
            by=by,
            # Runs under the order's lock; `afresh` makes it read the conversation only then.
            guard=lambda order: place.afresh().money_refusal(request.user, order),
            now=now,
            origin=place.origin,
        )
    except StalePreview as error:
        return _show_changed(request, place, order, error)
    except ActionRefused as error:
        context["refusal"] = error.refusal
        return render(request, "orders/result.html", context, status=409)
    if not fragment_requests.is_fragment(request):
        return HttpResponseRedirect(place.url("order_action", action.pk))
    return actions.render_action(request, place, order, action)


@require_GET
def review(request: HttpRequest, place: Place, order_id: int) -> HttpResponse:
    """Show a summary from the frame again, on the order as it is now, to be confirmed here."""
    order = place.get_order(order_id)
    try:
        token = tokens.open_summary(request.GET.get("summary", ""))
        preview = previews.preview_again(
            order, token, by=access.agent_of(request), now=timezone.now()
        )
    except tokens.FrameRefused:
        found = Refusal("stale", _("This window has expired."), _("Review the order again."))
    except (ActionRefused, InvalidMoney, ShopUnreachable, StalePreview) as error:
        found = summary.as_refusal(error)
    else:
        return summary.show(request, place, order, preview, back="")
    context = summary.dialog_context(request, place, order, timezone.now()) | {"refusal": found}
    return render(request, "orders/result.html", context, status=409)


def _earlier_action(token: str, order_id: int, by: User) -> OrderAction | None:
    try:
        return services.earlier_action(token=token, order_id=order_id, by=by)
    except ActionRefused:
        return None  # the token is another order's; request_action refuses it


def _window_refusal(request: HttpRequest, place: Place, order: Order, token: str) -> Refusal | None:
    """Refuse to confirm in the frame what must be confirmed in its window.

    The page already sends amounts above the frame's limit there; the server enforces it.
    """
    try:
        amount = previews.open_token(token, by=access.agent_of(request)).proposal.amount
    except StalePreview:
        # request_action reports it, and the agent gets the new summary.
        return None
    if not place.window_url(order, amount, token):
        return None
    return Refusal(
        "needs_window",
        _("This has to be confirmed in a separate window."),
        _("Review the order again and press the button there."),
    )


def _show_changed(
    request: HttpRequest, place: Place, order: Order, error: StalePreview
) -> HttpResponse:
    """The order no longer matches the summary: show what changed, and ask again."""
    now = timezone.now()
    token = request.POST.get("token", "")
    try:
        preview = previews.preview_again(order, token, by=access.agent_of(request), now=now)
    except (ActionRefused, InvalidMoney, ShopUnreachable, StalePreview) as problem:
        refusal = summary.as_refusal(problem)
        hint = refusal.hint or refusal.reason
        context = summary.dialog_context(request, place, order, now)
        context["refusal"] = Refusal("stale", str(error), hint)
        return render(request, "orders/result.html", context, status=409)
    is_refund = preview.kind == ActionKind.REFUND
    back = "order_refund" if is_refund else "order_cancel"
    return summary.show(request, place, order, preview, back, status=409)
