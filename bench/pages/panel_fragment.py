"""The order sidebar of a conversation with 50 messages and 10 orders, rendered from the projection."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from datetime import timedelta

from bench.harness.result import Result, times_ms


def run() -> list[Result]:
    """Measure on a test database of DATABASE_URL."""
    import django

    django.setup()
    from django.test.runner import DiscoverRunner

    runner = DiscoverRunner(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        return _measure()
    finally:
        runner.teardown_databases(databases)


def _measure() -> list[Result]:
    from django.contrib.auth.models import Group, User
    from django.db import connection
    from django.template.loader import render_to_string
    from django.test import Client, RequestFactory
    from django.test.utils import CaptureQueriesContext, override_settings
    from django.utils import timezone

    from inbox.conversations import services
    from inbox.models import Channel, Conversation
    from inbox.panel import rendering
    from inbox.panel.contexts import BesideConversation
    from inbox.visibility import scope_of
    from orders.models import Order
    from shopify_sync.setup import connect
    from tests.support.shop.in_process import DOMAIN, Shop, fetch_dirty

    shop = Shop()
    with override_settings(SHOPIFY_ADMIN_ORIGIN=shop.origin):
        connect.connect(domain=DOMAIN, token="shpat_practice_demo", secret="shpss_practice_demo")
        items = tuple((f"Mug {n}", "10.00", 2) for n in range(4))
        for _ in range(10):
            shop.place(items=items)
        shop.deliver(Client())
        fetch_dirty()
    assert Order.objects.filter(is_partial=False).count() == 10
    shop.stop()
    alice = User.objects.create_user("alice")
    alice.groups.add(Group.objects.get(name="agents"))
    channel = Channel.objects.create(name="Messenger", proves_addresses=True)
    now = timezone.now()
    for n in range(50):
        services.receive(
            channel=channel,
            external_id=f"m{n}",
            conversation_id="c",
            text="Where is it? " * 8,
            sender=services.Sender(external_id="u", name="Jane", email="jane@example.com"),
            sent_at=now - timedelta(minutes=n),
        )
    conversation = Conversation.objects.select_related("contact", "channel").get()
    services.assign(conversation=conversation, to=alice)
    client = Client()
    client.force_login(alice)
    at = f"/inbox/conversations/{conversation.pk}/"

    def fragment() -> object:
        answer = client.get(f"{at}orders/", headers={"HX-Request": "true"})
        assert answer.status_code == 200
        return answer

    def page() -> object:
        answer = client.get(at)
        assert answer.status_code == 200
        return answer

    request = RequestFactory().get(at)
    request.user = alice
    context = rendering.context(request, BesideConversation(conversation, scope_of(alice)))

    def floor() -> object:
        return render_to_string("orders/_panel.html", context, request)

    def queries(work: Callable[[], object]) -> int:
        with CaptureQueriesContext(connection) as captured:
            work()
        return len(captured)

    panel_ms, floor_ms, page_ms = times_ms(fragment, 100), times_ms(floor, 100), times_ms(page, 60)
    against = "rendering its template alone"
    return [
        Result(
            "panel_fragment",
            "ms",
            statistics.median(panel_ms),
            statistics.median(floor_ms),
            against,
        ),
        Result(
            "panel_fragment queries",
            "queries",
            queries(fragment),
            5,
            "the budget, with login and access",
        ),
        Result("conversation_page", "ms", statistics.median(page_ms), 20, "the budget"),
        Result("conversation_page queries", "queries", queries(page), 10, "the budget"),
    ]
