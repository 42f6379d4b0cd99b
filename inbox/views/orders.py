"""The order sidebar and its dialogs: thin doors onto orders' verbs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from inbox import access, campaigns, identities
from inbox.models import Conversation
from inbox.order_forms import CancelForm, RefundForm
from orders import panels, previews, rules, services, statuses
from orders.errors import ActionRefused, InvalidMoney, Refusal, ShopUnreachable, StalePreview
from orders.gateway import SuggestedRefund, get_gateway
from orders.models import ActionKind, Order, OrderAction, RefundMethod
from orders.money import Money

Context = dict[str, Any]


@require_GET
def panel(request: HttpRequest, pk: int) -> HttpResponse:
    """The orders beside a conversation, from our tables alone."""
    conversation = access.get_conversation(request.user, pk)
    return _render_panel(request, conversation)


@require_POST
def refresh(request: HttpRequest, pk: int) -> HttpResponse:
    """Read the shown orders from Shopify now."""
    conversation = access.get_conversation(request.user, pk)
    problem = ""
    keys = identities.order_keys(conversation.contact)
    get_gateway().find_orders(emails=keys.emails, phones=keys.phones)
    for order in identities.orders_of(conversation.contact).select_related("store")[
        : panels.ORDERS_A_PAGE
    ]:
        try:
            get_gateway().refresh(order)
        except ShopUnreachable as error:
            problem = f"{error} {error.hint}"
    if not request.headers.get("HX-Request"):
        return HttpResponseRedirect(_conversation_url(conversation))
    return _render_panel(request, conversation, problem=problem)


@require_http_methods(["GET", "POST"])
def cancel(request: HttpRequest, pk: int, order_id: int) -> HttpResponse:
    """The cancel dialog; a valid POST answers with the summary to confirm."""
    conversation, order = _order(request, pk, order_id)
    now = timezone.now()
    refusal = _refusal(request, conversation, order, ActionKind.CANCEL, now)
    net = rules.net_paid(order.snapshot)
    initial = {"amount": net.plain(), "restock": True, "notify": order.store.notify_by_default}
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
            return _review(request, conversation, order, preview, "inbox:order_cancel")
    context = _dialog(request, conversation, order, now) | {
        "form": form,
        "net_paid": net,
        "advice": rules.cancel_advice(
            order.snapshot, earlier_refunds=previews.earlier_refunds(order)
        ),
        "shipments": len(statuses.live_fulfillments(order.snapshot)),
        "restockable": sum(line.current_quantity for line in order.snapshot.lines),
        "store_credit_allowed": previews.method_refusal(order, RefundMethod.STORE_CREDIT) is None,
        "refusal": refusal,
    }
    return render(request, "orders/cancel.html", context)


@require_http_methods(["GET", "POST"])
def refund(request: HttpRequest, pk: int, order_id: int) -> HttpResponse:
    """The refund dialog; a valid POST answers with the summary to confirm."""
    conversation, order = _order(request, pk, order_id)
    now = timezone.now()
    refusal = _refusal(request, conversation, order, ActionKind.REFUND, now)
    suggestion: SuggestedRefund | None = None
    if request.method == "GET" and not refusal:
        try:
            suggestion = get_gateway().suggest_refund(order, lines=None, shipping=None)
        except ShopUnreachable as error:
            refusal = _as_refusal(error)
    is_answer = request.method == "POST" and "edit" not in request.POST
    form = _refund_form(request, order, suggestion, now)
    if is_answer and not refusal and form.is_valid():
        try:
            preview = previews.preview_refund(
                order, form.choice(), by=access.agent_of(request), now=now
            )
        except (ActionRefused, InvalidMoney, ShopUnreachable) as error:
            refusal = _as_refusal(error)
        else:
            return _review(request, conversation, order, preview, "inbox:order_refund")
    if request.method == "POST" and not refusal:
        suggestion, _problem = _suggest(order, form)
    is_delivered = previews.order_is_delivered(order, now=now)
    context = _dialog(request, conversation, order, now) | {
        "form": form,
        "lines": form.line_fields(),
        "suggestion": suggestion,
        "net_paid": rules.net_paid(order.snapshot),
        "is_delivered": is_delivered,
        "advice": rules.refund_advice(
            order.snapshot,
            delivered=is_delivered,
            earlier_refunds=previews.earlier_refunds(order),
        ),
        "store_credit_allowed": previews.method_refusal(order, RefundMethod.STORE_CREDIT) is None,
        "refusal": refusal,
    }
    return render(request, "orders/refund.html", context)


@require_POST
def suggestion(request: HttpRequest, pk: int, order_id: int) -> HttpResponse:
    """What Shopify would refund for the items chosen so far."""
    _conversation, order = _order(request, pk, order_id)
    form = _refund_form(request, order, None, timezone.now())
    found, problem = _suggest(order, form)
    context = {"suggestion": found, "problem": problem}
    return render(request, "orders/_refund_summary.html", context)


@require_POST
def confirm(request: HttpRequest, pk: int, order_id: int) -> HttpResponse:
    """The one click. What was shown is what is done, once; or nothing."""
    conversation, order = _order(request, pk, order_id)
    now = timezone.now()
    context = _dialog(request, conversation, order, now)
    if refusal := access.acting_refusal(request.user, conversation):
        context["refusal"] = refusal
        return render(request, "orders/result.html", context, status=403)
    try:
        action = services.request_action(
            token=request.POST.get("token", ""),
            order_id=order.pk,
            by=access.agent_of(request),
            now=now,
            origin=conversation.origin,
        )
    except StalePreview as error:
        return _show_again(request, conversation, order, error)
    except ActionRefused as error:
        context["refusal"] = error.refusal
        return render(request, "orders/result.html", context, status=409)
    if not request.headers.get("HX-Request"):
        return HttpResponseRedirect(
            reverse("inbox:order_action", args=[conversation.pk, action.pk])
        )
    return _render_action(request, conversation, order, action)


@require_GET
def action(request: HttpRequest, pk: int, action_id: int) -> HttpResponse:
    """How an action stands."""
    conversation = access.get_conversation(request.user, pk)
    found = _action(request, conversation, action_id)
    return _render_action(request, conversation, found.order, found)


@require_POST
def withdraw(request: HttpRequest, pk: int, action_id: int) -> HttpResponse:
    """Take back what was not sent yet."""
    conversation = access.get_conversation(request.user, pk)
    found = _action(request, conversation, action_id)
    refusal = access.acting_refusal(request.user, conversation)
    if refusal is None:
        try:
            services.withdraw(action_id=found.pk, by=access.agent_of(request), now=timezone.now())
        except ActionRefused as error:
            refusal = error.refusal
    if not request.headers.get("HX-Request"):
        return HttpResponseRedirect(_conversation_url(conversation))
    return _render_panel(request, conversation, problem=refusal.reason if refusal else "")


@require_POST
def check(request: HttpRequest, pk: int, action_id: int) -> HttpResponse:
    """Look at Shopify now. Reading never makes it worse, so every agent may."""
    conversation = access.get_conversation(request.user, pk)
    found = _action(request, conversation, action_id)
    services.check_now(action_id=found.pk, now=timezone.now())
    if not request.headers.get("HX-Request"):
        return HttpResponseRedirect(_conversation_url(conversation))
    return _render_panel(request, conversation)


def _order(request: HttpRequest, pk: int, order_id: int) -> tuple[Conversation, Order]:
    conversation = access.get_conversation(request.user, pk)
    return conversation, access.get_order(conversation, order_id)


def _action(request: HttpRequest, conversation: Conversation, action_id: int) -> OrderAction:
    found = get_object_or_404(
        OrderAction.objects.select_related("order__store", "requested_by"), pk=action_id
    )
    access.get_order(conversation, found.order_id)
    return found


def _refusal(
    request: HttpRequest, conversation: Conversation, order: Order, kind: ActionKind, now: datetime
) -> Refusal | None:
    acting = access.acting_refusal(request.user, conversation)
    cancel_button, refund_button = panels.action_states(order, acting=acting, now=now)
    return (cancel_button if kind == ActionKind.CANCEL else refund_button).refusal


def _show_again(
    request: HttpRequest, conversation: Conversation, order: Order, error: StalePreview
) -> HttpResponse:
    """The order is not what the summary said: show what changed, and ask again."""
    now = timezone.now()
    token = request.POST.get("token", "")
    try:
        preview = previews.preview_again(order, token, by=access.agent_of(request), now=now)
    except (ActionRefused, InvalidMoney, ShopUnreachable, StalePreview) as problem:
        refusal = _as_refusal(problem)
        hint = refusal.hint or refusal.reason
        context = _dialog(request, conversation, order, now)
        context["refusal"] = Refusal("stale", str(error), hint)
        return render(request, "orders/result.html", context, status=409)
    is_refund = preview.kind == ActionKind.REFUND
    back = "inbox:order_refund" if is_refund else "inbox:order_cancel"
    return _review(request, conversation, order, preview, back, status=409)


def _as_refusal(error: Exception) -> Refusal:
    if isinstance(error, ActionRefused):
        return error.refusal
    hint = error.hint if isinstance(error, ShopUnreachable) else ""
    return Refusal("unavailable", str(error), hint)


def _refund_form(
    request: HttpRequest, order: Order, suggestion: SuggestedRefund | None, now: datetime
) -> RefundForm:
    """Everything that is left is preselected (F40)."""
    snapshot = order.snapshot
    net = rules.net_paid(snapshot)
    refundable = [line for line in snapshot.lines if line.refundable_quantity > 0]
    received = rules.return_received(snapshot)
    initial: Context = {
        "returned": "received" if received else "",
        "restock": received,
        "notify": order.store.notify_by_default,
    }
    if suggestion and snapshot.cancelled_at is None:
        initial |= {f"line_{i}": line.refundable_quantity for i, line in enumerate(refundable)}
        initial["shipping"] = suggestion.shipping.plain()
    elif snapshot.cancelled_at:
        initial["amount"] = net.plain()
    return RefundForm(
        request.POST if request.method == "POST" else None,
        lines=snapshot.lines,
        net_paid=net,
        is_delivered=previews.order_is_delivered(order, now=now),
        initial=initial,
    )


def _suggest(order: Order, form: RefundForm) -> tuple[SuggestedRefund | None, str]:
    """From the valid part of the form: other fields may still be empty."""
    form.is_valid()
    shipping: Money | None = form.cleaned_data.get("shipping")
    try:
        found = get_gateway().suggest_refund(order, lines=form.chosen_lines(), shipping=shipping)
    except ShopUnreachable as error:
        return None, f"{error} {error.hint}"
    return found, ""


def _review(
    request: HttpRequest,
    conversation: Conversation,
    order: Order,
    preview: previews.Preview,
    back: str,
    status: int = 200,
) -> HttpResponse:
    fields = [
        (name, value)
        for name, values in request.POST.lists()
        if name not in {"csrfmiddlewaretoken", "edit", "token"}
        for value in values
    ]
    context = _dialog(request, conversation, order, timezone.now()) | {
        "preview": preview,
        "back_url": reverse(back, args=[conversation.pk, order.pk]),
        "back_fields": fields,
        "messages_preview": campaigns.preview_messages(
            order=order, proposal=preview.proposal, conversation=conversation
        ),
    }
    return render(request, "orders/review.html", context, status=status)


def _dialog(
    request: HttpRequest, conversation: Conversation, order: Order, now: datetime
) -> Context:
    acting = access.acting_refusal(request.user, conversation)
    return {
        "conversation": conversation,
        "card": panels.order_card(order, acting=acting, now=now),
    }


def _render_action(
    request: HttpRequest, conversation: Conversation, order: Order, found: OrderAction
) -> HttpResponse:
    ids = [("Shopify refund", found.refund_gid.rsplit("/", 1)[-1])] if found.refund_gid else []
    context = _dialog(request, conversation, order, timezone.now()) | {
        "notice": panels.action_notice(found),
        "shopify_ids": ids,
    }
    is_fragment = request.headers.get("HX-Request") and request.method == "GET"
    template = "orders/_result.html" if is_fragment else "orders/result.html"
    return render(request, template, context)


def _render_panel(
    request: HttpRequest, conversation: Conversation, *, problem: str = ""
) -> HttpResponse:
    keys = identities.order_keys(conversation.contact)
    shown = panels.orders_panel(
        **keys.as_kwargs(),
        acting=access.acting_refusal(request.user, conversation),
        now=timezone.now(),
        mentioned=identities.text_of(conversation),
    )
    if partial := [card.id for card in shown.cards if card.is_partial]:
        orders = Order.objects.filter(pk__in=partial)
        get_gateway().wake_reading(services.mark_partial_dirty(orders))
    context = {
        "panel": shown,
        "conversation": conversation,
        "is_arriving": get_gateway().wake_search(emails=keys.emails, phones=keys.phones),
        "searched": [*keys.emails, *keys.phones],
        "problem": problem,
        "may_connect": request.user.is_staff,
    }
    fragment = bool(request.headers.get("HX-Request"))
    template = "orders/_panel.html" if fragment else "orders/panel.html"
    return render(request, template, context)


def _conversation_url(conversation: Conversation) -> str:
    return reverse("inbox:conversation", args=[conversation.pk])
