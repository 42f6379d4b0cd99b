"""Two teams that must not see each other: north with its channel and store, and south with its own.

Jane wrote to north, Tom to south. Each has an order at the team's own store, with an action that
waits for approval. Jane has ordered at south's store, too.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.utils import timezone

from inbox.conversations import services
from inbox.frames import tokens
from inbox.frames.tokens import Customer, Pass
from inbox.models import (
    Channel,
    Conversation,
    HelpDeskFrame,
    Identity,
    IdentityKind,
    Message,
    Team,
)
from orders.models import ActionKind, ActionState, Order, OrderAction, Store
from orders.previews import Proposal, encode_proposal
from tests.support.orders import snapshots
from tests.support.orders.stored import FakeGateway, stored


class OfflineGateway(FakeGateway):
    """A gateway whose shops have nothing new to say."""

    def unreachable_stores(self) -> frozenset[int]:
        return frozenset()

    def wake_search(self, **_: Any) -> bool:
        return False

    def wake_reading(self, _count: int) -> None:
        pass

    def find_orders(self, **_: Any) -> int:
        return 0


GATEWAY = f"{__name__}.{OfflineGateway.__name__}"


@dataclass
class Side:
    """What belongs to one team."""

    team: Team
    channel: Channel
    store: Store
    conversation: Conversation
    order: Order
    action: OrderAction
    identity: Identity
    message: Message
    frame: HelpDeskFrame
    # The order of its customer at the other team's store.
    abroad: Order | None = None


@dataclass
class TwoTeams:
    north: Side
    south: Side
    people: dict[str, User] = field(default_factory=dict)

    def frame_pass(self, name: str, side: Side) -> Pass:
        """The pass of a person's frame that shows a side's customer."""
        return Pass(
            frame_id=side.frame.pk,
            agent_id=self.people[name].pk,
            session_key="",
            opened_at=int(time.time()),
            customer=Customer(email=_email(side.conversation), may_act=True),
        )

    def window(self, name: str, side: Side) -> str:
        return tokens.seal_window(self.frame_pass(name, side))


# Who there is: name → (roles, teams, staff status).
PEOPLE = {
    "nobody": ((), (), False),
    "agent": (("agents",), ("North",), False),
    "other": (("agents",), ("South",), False),
    "homeless": (("agents",), (), False),
    "supervisor": (("supervisors",), ("North",), False),
    "admin": (("admins",), (), True),
    "auditor": (("auditors",), (), True),
}


def two_teams() -> TwoTeams:
    """Build both, with everyone. The staff roles get their permissions as `migrate` gives them."""
    if not _has_staff_roles():
        call_command("migrate", verbosity=0)
    teams = {name: Team.objects.create(name=name) for name in ("North", "South")}
    people = {}
    for name, (roles, in_teams, is_staff) in PEOPLE.items():
        user = User.objects.create_user(
            name, password="demo", email=f"{name}@demo.example", is_staff=is_staff
        )
        user.groups.set([Group.objects.get_or_create(name=role)[0] for role in roles])
        user.teams.set([teams[team] for team in in_teams])
        people[name] = user
    north = _side(teams["North"], 1, people["agent"])
    south = _side(teams["South"], 2, people["other"])
    north.abroad = _order(south.store, 21, "jane@example.com")
    return TwoTeams(north, south, people)


def _has_staff_roles() -> bool:
    admins = Group.objects.filter(name="admins").first()
    return admins is not None and admins.permissions.exists()


def _email(conversation: Conversation) -> str:
    found = conversation.contact.identities.get(kind=IdentityKind.EMAIL)
    return str(found.value)


def _side(team: Team, number: int, agent: User) -> Side:
    name = team.name
    store = Store.objects.create(
        domain=f"{name.lower()}.myshopify.com", name=f"{name} Store", currency="EUR"
    )
    team.stores.add(store)
    channel = Channel.objects.create(name=f"{name} chat", team=team, proves_addresses=True)
    person = ("Jane Doe", "jane") if number == 1 else ("Tom Becker", "tom")
    message, _is_new = services.receive(
        channel=channel,
        external_id=f"m-{number}",
        conversation_id=f"c-{number}",
        sender=services.Sender(
            external_id=f"u-{number}", name=person[0], email=f"{person[1]}@example.com"
        ),
        text=f"Where is my order #{number}1?",
        sent_at=timezone.now() - timedelta(minutes=5),
    )
    conversation = message.conversation
    order = _order(store, number, f"{person[1]}@example.com")
    services.assign(conversation=conversation, to=agent)
    answer = services.note(conversation=conversation, by=agent, text=f"{name} note")
    return Side(
        team=team,
        channel=channel,
        store=store,
        conversation=Conversation.objects.get(pk=conversation.pk),
        order=order,
        action=_action(order, agent, conversation),
        identity=conversation.contact.identities.get(kind=IdentityKind.EMAIL),
        message=answer,
        frame=HelpDeskFrame.objects.create(
            name=f"{name} desk",
            kind="generic",
            origins="https://desk.example.com",
            proves_addresses=True,
        ),
    )


def _order(store: Store, number: int, email: str) -> Order:
    snapshot = snapshots.order(
        gid=f"gid://shopify/Order/{number}", legacy_id=number, name=f"#{number}001", email=email
    )
    return stored(snapshot, store)


def _action(order: Order, by: User, conversation: Conversation) -> OrderAction:
    proposal = Proposal(
        kind=ActionKind.REFUND,
        reason="goodwill",
        reason_label="Goodwill",
        staff_note="As agreed.",
        amount=order.snapshot.money.total.presentment,
        is_full_refund=False,
        notify=False,
        restock=False,
        targets=(),
        lines=(),
        shipping=None,
        returned="",
        shipments_to_cancel=(),
        facts={},
    )
    return OrderAction.objects.create(
        order=order,
        kind=ActionKind.REFUND,
        state=ActionState.AWAITING_APPROVAL,
        requested_by=by,
        nonce=f"n{order.pk}",
        digest="d",
        proposal=encode_proposal(proposal),
        steps=[],
        amount=Decimal(5),
        amount_shop=Decimal(5),
        currency="EUR",
        approvals_needed=1,
        expires_at=timezone.now() + timedelta(hours=1),
        why_approval="Above the limit.",
        origin=conversation.origin,
    )
