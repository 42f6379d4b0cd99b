"""Every address of the product, and clients that ask for it as each kind of person."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import admin
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from inbox.channels import keys
from inbox.frames import tokens
from tests.conftest import logged_in
from tests.support.people.two_teams import Side, TwoTeams

# What a view needs to be asked, besides its IDs.
QUERIES: Final = {"sidebar:frame": "?frame={frame}", "sidebar:connect": "?frame={frame}"}


# Pages of the admin that don't have their model's name.
_ALIASES: Final = {
    "shopify_sync_connection": "shopify_sync_shopconnection",
    "shopify_sync_app": "shopify_sync_shopconnection",
    "shopify_sync_read": "shopify_sync_webhookevent",
}


@dataclass(frozen=True)
class Address:
    """A URL of the product. `name` is the one in the table."""

    name: str
    route: str

    @property
    def ids(self) -> list[str]:
        """The IDs that the URL takes, the outermost first."""
        return re.findall(r"<(?:\w+:)?(\w+)>", self.route)

    @property
    def is_about_something(self) -> bool:
        """Whether someone else's ID can stand first."""
        # The two parts of a link by email name no row of a team.
        return bool(self.ids) and self.ids[0] != "window" and "key" not in self.ids

    @property
    def is_nested(self) -> bool:
        """Whether someone else's ID can stand inside one's own."""
        return self.is_about_something and len(self.ids) > 1


def addresses() -> Iterator[Address]:
    """Every address, from the resolver itself."""

    def walk(patterns: Any, prefix: str, namespace: str) -> Iterator[Address]:
        for found in patterns:
            route = prefix + str(found.pattern)
            if isinstance(found, URLResolver):
                yield from walk(found.url_patterns, route, found.namespace or namespace)
            elif isinstance(found, URLPattern):
                name = f"{namespace}:{found.name}" if namespace else str(found.name)
                name = name if found.name else f"/{route}"
                if re.fullmatch(r"/admin/\w+/\w+/<path:object_id>/", name):
                    name = "/admin/<model>/<id>/"
                yield Address(name, f"/{route}")

    yield from walk(get_resolver().url_patterns, "", "")


ALL: Final = tuple(addresses())


class Visitors:
    """A client for each identity, as it presents itself."""

    def __init__(self, world: TwoTeams) -> None:
        self._world = world
        people = world.people
        named = {
            "no role": "nobody",
            "agent": "agent",
            "other team": "other",
            "supervisor": "supervisor",
            "administrator": "admin",
            "auditor": "auditor",
        }
        self._clients = {name: logged_in(people[who]) for name, who in named.items()}
        self._clients["anonymous"] = Client()
        key = keys.new_key(world.north.channel)
        self._clients["channel key"] = Client(headers={"authorization": f"Bearer {key}"})
        self._clients["frame"] = Client()
        for client in self._clients.values():
            client.raise_request_exception = False
        self._named = named

    def client(self, identity: str) -> Client:
        return self._clients[identity]

    def ask(self, identity: str, method: str, address: Address, side: Side, inner: Side) -> Any:
        """The response. `inner` is whose IDs stand inside another ID's address."""
        who = self._named.get(identity, "agent")
        url = _filled(address, self._world, who, side, inner)
        client = self._clients[identity]
        sent: dict[str, Any] = {"headers": {"idempotency-key": "matrix"}}
        if identity == "frame":
            held = tokens.seal_pass(self._world.frame_pass("agent", self._world.north))
            sent["headers"]["authorization"] = f"Frame {held}"
        if method == "POST" and address.name.startswith("/api/"):
            # Complete enough for the view to look for the row.
            sent |= {"data": {"token": "x"}, "content_type": "application/json"}
        # Whatever it changes is undone, so that every request meets the same rows and sessions.
        point, cookies = transaction.savepoint(), copy.deepcopy(client.cookies)
        try:
            found = getattr(client, method.lower())(url, **sent)
        finally:
            transaction.savepoint_rollback(point)
            client.cookies = cookies
        return found


def letter(answer: Any) -> str:
    """What an answer means, as the table writes it."""
    code = answer.status_code
    if code == 302 and "/login/?next=" in answer["Location"]:
        return "L"
    return {401: "L", 403: "R", 404: "0", 405: "M"}.get(code, "+" if code < 500 else "!")


def _filled(address: Address, world: TwoTeams, who: str, side: Side, inner: Side) -> str:
    is_contact = address.route.startswith("/inbox/contacts/")
    contact = side.conversation.contact
    known: dict[str, Any] = {
        "contact_id": contact.pk,
        "pk": contact.pk if is_contact else side.conversation.pk,
        "order_id": inner.order.pk,
        "action_id": inner.action.pk,
        "message_id": inner.message.pk,
        "identity_id": inner.identity.pk,
        "channel_id": side.channel.pk,
        "window": world.window(who, side),
        "token": "x",
        "token_id": 1,
        "app_label": "orders",
        "content_type_id": 1,
        "object_id": 1,
        "url": "nothing/",
    }
    if address.name.startswith("admin:"):
        known |= {"pk": _of_admin(address, side), "object_id": _of_admin(address, side)}
        known["id"] = world.people["nobody"].pk
    known |= {"uidb36": "1", "key": "x"}
    route = re.sub(r"\(\?P<(\w+)>[^)]*\)", lambda m: str(known[m[1]]), address.route)
    route = re.sub(r"[\^$]", "", route)
    url = re.sub(r"<(?:\w+:)?(\w+)>", lambda m: str(known[m[1]]), route)
    return url + QUERIES.get(address.name, "").format(frame=world.north.frame.pk)


def _of_admin(address: Address, side: Side) -> int:
    """The ID of a row of the model that a page of the admin is about."""
    model = address.name.removeprefix("admin:").rpartition("_")[0]
    rows: dict[str, Any] = {
        "orders_store": side.store,
        "orders_order": side.order,
        "orders_orderaction": side.action,
        "inbox_channel": side.channel,
        "inbox_team": side.team,
        "inbox_contact": side.conversation.contact,
        "inbox_conversation": side.conversation,
        "inbox_helpdeskframe": side.frame,
    }
    model = _ALIASES.get(model, model)
    if model in rows:
        return int(rows[model].pk)
    return model_row(address) or 1


def model_row(address: Address) -> int | None:
    """The first row of the model that a page of the admin is about; None if there is none."""
    label = address.name.removeprefix("admin:").rpartition("_")[0]
    label = _ALIASES.get(label, label)
    for model in admin.site._registry:
        if model._meta.label_lower.replace(".", "_") == label:
            pk = model._default_manager.order_by("pk").values_list("pk", flat=True).first()
            return None if pk is None else int(pk)
    return None
