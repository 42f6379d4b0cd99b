"""An order on a page of its own. Its dialogs are those of the panel."""

from __future__ import annotations

from uuid import UUID, uuid4

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from inbox import access, fragment_requests
from inbox.campaigns.texts import language_of
from inbox.conversations import services
from inbox.models import Conversation
from inbox.panel import order_page
from inbox.panel.order_page import OnOrderPage
from inbox.panel.writing_first import reach_of
from inbox.texts import placeholders
from orders.errors import ShopUnreachable
from orders.panels.filters import number, uuid
from orders.shopify_port import get_gateway


@require_GET
def page(request: HttpRequest, place: OnOrderPage, order_id: int) -> HttpResponse:
    """Show the order, its customer and their conversations, from our own tables."""
    return order_page.render_page(request, place)


@require_POST
def refresh(request: HttpRequest, place: OnOrderPage, order_id: int) -> HttpResponse:
    """Read the order from Shopify now."""
    problem = ""
    try:
        get_gateway().refresh(place.order)
    except ShopUnreachable as error:
        problem = f"{error} {error.hint}"
    if not fragment_requests.is_fragment(request):
        return HttpResponseRedirect(place.home_url)
    fresh = OnOrderPage(place.get_order(order_id), place.scope)
    return order_page.render_page(request, fresh, problem=problem)


@require_POST
def start(request: HttpRequest, place: OnOrderPage, order_id: int) -> HttpResponse:
    """Begin a conversation with the order's customer, assigned to the agent. Nothing is sent.

    Repeating the click leads to the same conversation.
    """
    agent = access.agent_of(request)
    press = uuid(request.POST.get("press", "")) or uuid4()
    if earlier := _started(agent, press):
        return redirect("inbox:conversation", earlier.pk)
    reach = reach_of(place.order, agent=agent)
    channel = reach.channel(number(request.POST.get("channel", "")))
    if reach.refusal or channel is None:
        messages.error(request, reach.refusal or _("Choose a channel."))
        return redirect(place.home_url)
    customer = place.order.snapshot.customer
    try:
        made = services.start(
            channel=channel,
            contact=reach.contact,
            address=reach.address,
            name=customer.name if customer else "",
            subject=_subject(place),
            by=agent,
            press=press,
        )
    except services.NotStarted as refused:
        messages.error(request, str(refused))
        return redirect(place.home_url)
    return redirect("inbox:conversation", made.pk)


def _started(agent: User, press: UUID) -> Conversation | None:
    """Return the conversation that this click has already begun, if its agent still sees it."""
    earlier = services.started_by(agent, press)
    return earlier and access.conversations_for(agent).filter(pk=earlier.pk).first()


def _subject(place: OnOrderPage) -> str:
    """Return the subject of the mail, in the customer's language if we have it."""
    language = language_of(place.order, None)
    if not placeholders.has_catalog(language):
        language = translation.get_language() or ""
    with translation.override(language):
        return _("Your order %(name)s") % {"name": place.order.name}
