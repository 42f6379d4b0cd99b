"""What one person may see: the conversations of their teams, and the orders of their teams' stores.

Every query on behalf of a person starts from their `Scope`; what is outside it doesn't exist for
them (404). Pages, fragments, search, REST, frames, live updates and the admin share this module.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, QuerySet

from inbox.accounts import roles
from inbox.accounts.roles import Agent
from inbox.models import Contact, Conversation, Team
from orders.models import Order, OrderAction, Store
from orders.models.orders import OrderQuerySet

Ids = frozenset[int]


@dataclass(frozen=True, slots=True)
class Scope:
    """IDs of the teams and stores a person sees; None means all of them."""

    teams: Ids | None
    stores: Ids | None

    def conversations(self) -> QuerySet[Conversation]:
        """The conversations of these teams."""
        rows = Conversation.objects.all()
        return rows if self.teams is None else rows.of_teams(self.teams)

    def contacts(self) -> QuerySet[Contact]:
        """Contacts who have a conversation with one of these teams, or take part in one."""
        if self.teams is None:
            return Contact.objects.all()
        theirs = self.conversations()
        own = theirs.filter(contact=OuterRef("pk"))
        joined = theirs.filter(participants__contact=OuterRef("pk"))
        return Contact.objects.filter(Exists(own) | Exists(joined))

    def orders(self) -> OrderQuerySet:
        """The visible orders of these stores."""
        return Order.objects.visible().at(self.stores)

    def actions(self) -> QuerySet[OrderAction]:
        """The cancellations and refunds of these stores' orders."""
        rows = OrderAction.objects.all()
        return rows if self.stores is None else rows.filter(order__store__in=self.stores)

    def active_stores(self) -> QuerySet[Store]:
        """Those of these stores that are switched on."""
        rows = Store.objects.active()
        return rows if self.stores is None else rows.filter(pk__in=self.stores)

    def seen_conversations(self, wanted: Collection[int]) -> Ids:
        """Return those of these conversations' IDs that are theirs. No query if they see all."""
        if not wanted or self.teams is None:
            return frozenset(wanted)
        rows = self.conversations().filter(pk__in=wanted)
        return frozenset(rows.order_by().values_list("pk", flat=True))

    def sees_store(self, store_id: int) -> bool:
        """Return whether this store is one of them."""
        return self.stores is None or store_id in self.stores


EVERYTHING: Final = Scope(teams=None, stores=None)
NOTHING: Final = Scope(teams=frozenset(), stores=frozenset())


def scope_of(agent: Agent) -> Scope:
    """Return what a person sees in the inbox, looked up once per request.

    Nothing without a role that opens the inbox. Everything while there is no team at all; otherwise
    only what belongs to their teams, and so nothing for a person without a team. Two queries at most.
    """
    if not isinstance(agent, User) or not roles.may_work(agent):
        return NOTHING
    # Cached on the user object, which every request loads again.
    known: Scope | None = agent.__dict__.get("_scope")
    if known is None:
        known = agent.__dict__["_scope"] = _look_up(agent)
    return known


def _look_up(agent: User) -> Scope:
    member = Team.members.through._default_manager.filter(team=OuterRef("pk"), user=agent)
    teams = dict(Team.objects.order_by().values_list("pk", Exists(member)))
    if not teams:
        return EVERYTHING
    mine = frozenset(pk for pk, is_mine in teams.items() if is_mine)
    if not mine:
        return NOTHING
    stores = Team.stores.through._default_manager.filter(team__in=mine)
    return Scope(teams=mine, stores=frozenset(stores.values_list("store_id", flat=True)))


def admin_scope(agent: Agent) -> Scope:
    """Return what a person sees in the admin, where their permissions allow it at all.

    Administrators and auditors are responsible for the whole installation, and so is anyone who was
    given a permission without working in the inbox. Agents and supervisors who also have admin
    permissions see no more there than in the inbox.
    """
    is_whole = not {roles.ADMINS, roles.AUDITORS}.isdisjoint(roles.held(agent))
    return EVERYTHING if is_whole or not roles.may_work(agent) else scope_of(agent)


def able_to_see(team_id: int | None) -> QuerySet[User]:
    """Return the agents and supervisors who see this team's conversations, and so can be assigned
    one."""
    people = roles.assignable()
    if not Team.objects.exists():
        return people
    return people.filter(teams=team_id) if team_id else people.none()
