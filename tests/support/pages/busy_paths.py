"""What an installation does all day: pages, searches, lists of the admin, metrics and sweeps."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from unittest import mock

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from core import queue
from inbox.contacts.activity.sources import Show
from inbox.models import Conversation
from orders.models import Order
from settings.celery import SCHEDULE
from tests.support.pages.addresses import lists_of_the_admin

Path = Callable[[], object]


def paths(boss: User, number: int) -> dict[str, Path]:
    """Name each path. `boss` may see everything; `number` is a recent order of many_rows."""
    client = Client()
    client.force_login(boss)
    return {
        **_pages(client, number),
        **searches(client, number),
        **_admin(client),
        **periodic_tasks(),
    }


def _pages(client: Client, number: int) -> dict[str, Path]:
    newest = Conversation.objects.newest_first()[40]
    far = Conversation.objects.newest_first().filter(state="resolved")
    deep = far[far.count() // 2]
    after = f"{deep.last_message_at.isoformat()}~{deep.pk}".replace("+", "%2B")
    conversation = f"/inbox/conversations/{number}/"
    return {
        "list_open": _get(client, "/inbox/?scope=all&state=open"),
        "list_mine": _get(client, "/inbox/?scope=mine&state=resolved"),
        "list_unassigned": _get(client, "/inbox/?scope=unassigned&state=open"),
        "list_halfway_down": _get(client, f"/inbox/?scope=all&state=resolved&after={after}"),
        "conversation": _get(client, conversation),
        "panel": _get(client, f"{conversation}orders/"),
        **_activity(client, newest.contact_id, deep.last_message_at.isoformat()),
        "rest_contact": _get(client, f"/api/v1/contacts/{newest.contact_id}/"),
        "rest_timeline": _get(client, f"/api/v1/contacts/{newest.contact_id}/timeline/"),
        "rest_decisions": _get(client, "/api/v1/decisions/"),
        "decisions": _get(client, "/inbox/decisions/"),
        "refunds_due": _get(client, "/inbox/decisions/refunds/"),
        "order_list": _get(client, "/inbox/orders/"),
        "order_list_held": _get(client, "/inbox/orders/?attention=held"),
        "order_list_failed": _get(client, "/inbox/orders/?attention=failed"),
        "order": _get(client, reverse("order:page", args=[Order.objects.latest("placed_at").pk])),
    }


def _activity(client: Client, contact: int, at: str) -> dict[str, Path]:
    """Name the contact's page with each filter, and a page of the past."""
    page = f"/inbox/contacts/{contact}/"
    after = f"after={at.replace('+', '%2B')}~message~{2**40}"
    return {
        "contact": _get(client, page),
        "contact_older": _get(client, f"{page}?{after}"),
        **{f"contact_{show}": _get(client, f"{page}?show={show}&{after}") for show in Show},
    }


def searches(client: Client, number: int) -> dict[str, Path]:
    """Name each search of conversations and orders. `number` is a recent order of many_rows."""
    person = Conversation.objects.select_related("contact").get(pk=number).contact
    email = person.identities.get(kind="email").value
    phone = person.identities.get(kind="phone").value
    words = {
        "name": person.name.split()[1],
        "common_name": "Jane",
        "part_of_a_name": person.name.split()[1][1:6].lower(),
        "email": email,
        "phone": phone.replace("+", "%2B"),
        "number": str(number),
        "tracking": f"jd {number:010} de",
        "nothing": "zzqqxx",
    }
    found: dict[str, Path] = {}
    for name, word in words.items():
        found[f"search_{name}"] = _get(client, f"/inbox/?q={word}")
        found[f"orders_{name}"] = _get(client, f"/inbox/orders/?q={word}")
        found[f"rest_{name}"] = _get(client, f"/api/v1/orders/?q={word}")
        found[f"rest_contacts_{name}"] = _get(client, f"/api/v1/contacts/?q={word}")
    return found


def _admin(client: Client) -> dict[str, Path]:
    found = {"admin_overview": _get(client, "/admin/"), "metrics": _get(client, "/metrics")}
    found["money_report"] = _get(client, "/admin/money/")
    for address in lists_of_the_admin():
        name = address.strip("/").replace("/", "_")
        found[name] = _get(client, address)
    for name in ("orders/order", "orders/orderevent", "inbox/contact", "inbox/conversation"):
        found[f"admin_{name.replace('/', '_')}_search"] = _get(client, f"/admin/{name}/?q=1043")
    return found


def periodic_tasks() -> dict[str, Path]:
    """Every task of the schedule; what one would hand to a worker stays undone."""
    return {f"task_{name.replace(' ', '_')}": _task(str(e["task"])) for name, e in SCHEDULE.items()}


def _task(name: str) -> Path:
    module, _, function = name.rpartition(".")
    task = getattr(import_module(module), function)

    def run() -> object:
        # Only what looks for work is of interest here, not the work.
        with mock.patch.object(queue, "enqueue", return_value=True):
            return task()

    return run


def _get(client: Client, path: str) -> Path:
    def get() -> object:
        answer = client.get(path)
        content = answer.getvalue()
        assert answer.status_code == 200, (path, answer.status_code, content[:300])
        return content

    return get
