"""The order panel and its dialogs: thin views over the services of the orders app.

`place` is where the order is shown: beside a conversation, in a help desk's frame, in a window, or
on a page of its own.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from inbox import access, fragment_requests
from inbox.campaigns import order_events
from inbox.frames import tokens
from inbox.panel import (
    order_page,
    refund_dialog,
    rendering,
)
from inbox.panel.forms import (
    CancelForm,
    Mode,
    as_typed,
)
from inbox.panel.order_page import OnOrderPage
from inbox.panel.places import PersonsOrders, Place
from inbox.scopes import scope_of
from orders import (
    panels,
    previews,
    rules,
    services,
)
from orders.errors import ActionRefused, InvalidMoney, Refusal, ShopUnreachable, StalePreview
from orders.models import ActionKind, Order, OrderAction, RefundMethod
from orders.panels import filters
from orders.shopify_port import (
    SuggestedRefund,
    get_gateway,
)
from orders.statuses import badges

Context = dict[str, Any]


@require_GET
def panel(request: HttpRequest, place: PersonsOrders) -> HttpResponse:
    """Show the customer's orders from our own tables, without asking Shopify."""
    return _render_panel(request, place)


@require_GET
def card(request: HttpRequest, place: Place, order_id: int) -> HttpResponse:
    """Return the body of an order card, loaded once it is opened."""
    order = place.get_order(order_id)
    context = _dialog_context(request, place, order, timezone.now())
    context["card"] = place.with_changes([context["card"]])[0]
    return render(request, "orders/_card_body.html", context)


@require_POST
def refresh(request: HttpRequest, place: PersonsOrders) -> HttpResponse:
    """Read the orders on the first page from Shopify now, and search for new ones."""
    problem = ""
    keys = place.keys
    get_gateway().find_orders(emails=keys.emails, phones=keys.phones)
    for order in place.orders().select_related("store")[: filters.ORDERS_A_PAGE]:
        try:
            get_gateway().refresh(order)
        except ShopUnreachable as error:
            problem = f"{error} {error.hint}"
    if not fragment_requests.is_fragment(request):
        return HttpResponseRedirect(place.home_url)
    return _render_panel(request, place, problem=problem)


@require_http_methods(["GET", "POST"])
def cancel(request: HttpRequest, place: Place, order_id: int) -> HttpResponse:
    """Show the cancel dialog; a valid POST answers with the summary to confirm."""
    order = place.get_order(order_id)
    now = timezone.now()
    refusal = _refusal(request, place, order, ActionKind.CANCEL, now)
    net = rules.net_paid(order.snapshot)
    is_shipped = rules.is_shipped(order.snapshot)
    # Shipped goods are in transit: they go back to stock only when they come back.
    initial = {
        "amount": net,
        "restock": not is_shipped,
        "notify": order.store.notify_by_default,
    }
    reasons = get_gateway().cancel_reasons(order.store)
    is_answer = request.method == "POST" and "edit" not in request.POST
    data = request.POST if request.method == "POST" else None
    form = CancelForm(data, reasons=reasons, net_paid=net, initial=initial)
    if is_answer and not refusal and form.is_valid():
        try:
            preview = previews.preview_cancel(
                order, form.choice(), by=access.agent_of(request), now=now
            )
        except (ActionRefused, InvalidMoney, ShopUnreachable) as error:
            refusal = _as_refusal(error)
        else:
            return _review(request, place, order, preview, "order_cancel")
    context = _dialog_context(request, place, order, now) | {
        "form": form,
        "net_paid": net,
        "advice": rules.cancel_advice(
            order.snapshot, earlier_refunds=previews.earlier_refunds(order)
        ),
        "shipments": len(badges.live_fulfillments(order.snapshot)),
        "restockable": sum(line.current_quantity for line in order.snapshot.lines),
        "store_credit_allowed": previews.method_refusal(order, RefundMethod.STORE_CREDIT) is None,
        "refusal": refusal,
    }
    return render(request, "orders/cancel.html", context)


@require_http_methods(["GET", "POST"])
def refund(request: HttpRequest, place: Place, order_id: int) -> HttpResponse:
    """Show the refund dialog; a valid POST answers with the summary to confirm."""
    order = place.get_order(order_id)
    now = timezone.now()
    refusal = _refusal(request, place, order, ActionKind.REFUND, now)
    found: SuggestedRefund | None = None
    through = refund_dialog.through_of(request, order)
    if request.method == "GET":
        if not refusal:
            try:
                found = refund_dialog.first_suggestion(order, through)
            except ShopUnreachable as error:
                refusal = _as_refusal(error)
        form = refund_dialog.fresh_form(order, found, now=now, through=through)
    else:
        form = refund_dialog.typed_form(request, order, now=now)
        if "edit" not in request.POST and not refusal and form.is_valid():
            try:
                preview = previews.preview_refund(
                    order, form.choice(), by=access.agent_of(request), now=now
                )
            except (ActionRefused, InvalidMoney, ShopUnreachable) as error:
                refusal = None if refund_dialog.put_on_a_field(form, error) else _as_refusal(error)
            else:
                return _review(request, place, order, preview, "order_refund")
        if not refusal:
            found, _problem = refund_dialog.suggest(order, form)
    is_delivered = previews.order_is_delivered(order, now=now)
    context = _dialog_context(request, place, order, now) | {
        "form": form,
        "lines": form.line_fields(),
        "mode": refund_dialog.mode_of(form),
        "sum": refund_dialog.sum_of(order, form, found),
        "quick_amounts": refund_dialog.quick_amounts(order, found),
        "shipping_maximum": found.shipping_maximum if found else None,
        "net_paid": rules.net_paid(order.snapshot),
        "ways": refund_dialog.ways(order, through),
        "is_delivered": refund_dialog.asks(order, through, now=now),
        "is_shipped": rules.is_shipped(order.snapshot),
        "beside_items": panels.beside_items(order.snapshot),
        "advice": rules.refund_advice(
            order.snapshot,
            delivered=is_delivered,
            earlier_refunds=previews.earlier_refunds(order),
            now=now,
        ),
        "store_credit_allowed": previews.method_refusal(order, RefundMethod.STORE_CREDIT) is None,
        "refusal": refusal,
    }
    return render(request, "orders/refund.html", context)


@require_POST
def suggestion(request: HttpRequest, place: Place, order_id: int) -> HttpResponse:
    """Return the sum that the form as filled in so far would refund.

    For items, Shopify calculates it.
    """
    order = place.get_order(order_id)
    form = refund_dialog.typed_form(request, order, now=timezone.now())
    found, problem = None, ""
    if refund_dialog.mode_of(form) == Mode.ITEMS:
        found, problem = refund_dialog.suggest(order, form)
    context = {"sum": refund_dialog.sum_of(order, form, found, problem)}
    return render(request, "orders/_refund_summary.html", context)


@require_POST
def confirm(request: HttpRequest, place: Place, order_id: int) -> HttpResponse:
    """Request exactly the action that was shown, once, or refuse.

    Repeating the same click shows that action's result, whatever has changed since.
    """
    token, by, now = request.POST.get("token", ""), access.agent_of(request), timezone.now()
    # Before any other check, because the first click may have made them all fail by now.
    earlier = _earlier_action(token, order_id, by)
    if earlier and scope_of(by).sees_store(earlier.order.store_id):
        return _render_action(request, place, earlier.order, earlier)
    order = place.get_order(order_id)
    context = _dialog_context(request, place, order, now)
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
    return _render_action(request, place, order, action)


def _earlier_action(token: str, order_id: int, by: User) -> OrderAction | None:
    try:
        return services.earlier_action(token=token, order_id=order_id, by=by)
    except ActionRefused:
        return None  # the token is another order's; request_action refuses it


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
        found = _as_refusal(error)
    else:
        return _review(request, place, order, preview, back="")
    context = _dialog_context(request, place, order, timezone.now()) | {"refusal": found}
    return render(request, "orders/result.html", context, status=409)


@require_GET
def action(request: HttpRequest, place: Place, action_id: int) -> HttpResponse:
    """Show the state of an action."""
    found = _action(request, place, action_id)
    return _render_action(request, place, found.order, found)


@require_GET
def again(request: HttpRequest, place: Place, action_id: int) -> HttpResponse:
    """Propose an action that was not carried out again, on the order as it is now.

    Shows the summary with what changed since, and keeps everything that was typed.
    """
    found = _action(request, place, action_id)
    order, proposal = found.order, previews.decode_proposal(found.proposal)
    by, now = access.agent_of(request), timezone.now()
    is_refund = proposal.kind == ActionKind.REFUND
    back = "order_refund" if is_refund else "order_cancel"
    refusal = place.money_refusal(request.user, order)
    if refusal is None:
        token = previews.sign_token(order, proposal, by=by)
        try:
            preview = previews.preview_again(order, token, by=by, now=now)
        except (ActionRefused, InvalidMoney, ShopUnreachable, StalePreview) as error:
            refusal = _as_refusal(error)
        else:
            return _review(request, place, order, preview, back, typed=as_typed(proposal, order))
    context = _dialog_context(request, place, order, now) | {
        "refusal": refusal,
        "back_url": place.url(back, order.pk),
        "back_fields": as_typed(proposal, order),
    }
    return render(request, "orders/result.html", context, status=409)


@require_POST
def withdraw(request: HttpRequest, place: Place, action_id: int) -> HttpResponse:
    """Withdraw an action that was not sent yet."""
    found = _action(request, place, action_id)
    refusal = place.withdrawing_refusal(request.user, found)
    if refusal is None:
        try:
            services.withdraw(action_id=found.pk, by=access.agent_of(request), now=timezone.now())
        except ActionRefused as error:
            refusal = error.refusal
    if not fragment_requests.is_fragment(request):
        return HttpResponseRedirect(place.home_url)
    return _render_panel(request, place, problem=refusal.reason if refusal else "")


@require_POST
def check(request: HttpRequest, place: Place, action_id: int) -> HttpResponse:
    """Check with Shopify how an action went. Every agent may, since it only reads."""
    found = _action(request, place, action_id)
    services.check_now(action_id=found.pk, now=timezone.now())
    if not fragment_requests.is_fragment(request):
        return HttpResponseRedirect(place.home_url)
    return _render_panel(request, place)


def _action(request: HttpRequest, place: Place, action_id: int) -> OrderAction:
    found = get_object_or_404(
        OrderAction.objects.select_related("order__store", "requested_by"), pk=action_id
    )
    # Raises Http404 unless the action's order is one of this place.
    place.get_order(found.order_id)
    return found


def _refusal(
    request: HttpRequest, place: Place, order: Order, kind: ActionKind, now: datetime
) -> Refusal | None:
    acting = place.money_refusal(request.user, order)
    cancel_button, refund_button = panels.action_states(order, acting=acting, now=now)
    return (cancel_button if kind == ActionKind.CANCEL else refund_button).refusal


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
        refusal = _as_refusal(problem)
        hint = refusal.hint or refusal.reason
        context = _dialog_context(request, place, order, now)
        context["refusal"] = Refusal("stale", str(error), hint)
        return render(request, "orders/result.html", context, status=409)
    is_refund = preview.kind == ActionKind.REFUND
    back = "order_refund" if is_refund else "order_cancel"
    return _review(request, place, order, preview, back, status=409)


def _as_refusal(error: Exception) -> Refusal:
    if isinstance(error, ActionRefused):
        return error.refusal
    hint = error.hint if isinstance(error, ShopUnreachable) else ""
    return Refusal("unavailable", str(error), hint)


def _review(
    request: HttpRequest,
    place: Place,
    order: Order,
    preview: previews.Preview,
    back: str,
    status: int = 200,
    typed: list[tuple[str, str]] | None = None,
) -> HttpResponse:
    """Render a summary to confirm.

    `typed` are the fields of the dialog to go back to; None means those of this request.
    """
    fields = typed or [
        (name, value)
        for name, values in request.POST.lists()
        if name not in {"csrfmiddlewaretoken", "edit", "token"}
        for value in values
    ]
    context = _dialog_context(request, place, order, timezone.now()) | {
        "preview": preview,
        "confirm_url": place.url("order_confirm", order.pk),
        "window_url": place.window_url(order, preview.proposal.amount, preview.token),
        "back_url": place.url(back, order.pk) if back else "",
        "back_fields": fields,
        "messages_preview": order_events.preview_messages(
            order=order, proposal=preview.proposal, origin=place.origin
        ),
    }
    return render(request, "orders/review.html", context, status=status)


def _dialog_context(request: HttpRequest, place: Place, order: Order, now: datetime) -> Context:
    acting = place.money_refusal(request.user, order)
    return place.page_context(request.user) | {
        "place": place,
        "card": panels.order_card(order, acting=acting, now=now),
    }


def _render_action(
    request: HttpRequest, place: Place, order: Order, found: OrderAction
) -> HttpResponse:
    ids = [("Shopify refund", found.refund_gid.rsplit("/", 1)[-1])] if found.refund_gid else []
    context = _dialog_context(request, place, order, timezone.now()) | {
        "notice": panels.action_notice(found),
        "shopify_ids": ids,
        "reply_text": place.reply_text(found),
    }
    is_part = fragment_requests.is_fragment(request) and request.method == "GET"
    template = "orders/_result.html" if is_part else "orders/result.html"
    return render(request, template, context)


def _render_panel(request: HttpRequest, place: Place, *, problem: str = "") -> HttpResponse:
    if isinstance(place, OnOrderPage):
        return order_page.render_page(request, place, problem=problem)
    if not isinstance(place, PersonsOrders):
        raise TypeError(place)
    is_part = fragment_requests.is_fragment(request)
    template = "orders/_panel.html" if is_part else "orders/panel.html"
    context = rendering.context(request, place, problem=problem, shows_all=not is_part)
    return render(request, template, context)
