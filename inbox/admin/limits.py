"""What agents and supervisors who were given admin permissions see there: their teams' rows only.

`LIMITS` says it for every model that has an admin page. A model without an entry is closed to them.
Administrators and auditors aren't limited (inbox.visibility.admin_scope).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Model, Q, QuerySet

from core.dashboard import DESK
from inbox import visibility
from inbox.visibility import Scope

Rows = Callable[[Scope], Q]


@dataclass(frozen=True, slots=True)
class Limit:
    """What of one model a limited person sees in the admin.

    `choices` is what the forms of other models offer them, if that differs. `why` explains what is
    closed or shared.
    """

    rows: Rows
    choices: Rows | None = None
    may_add: bool = True
    why: str = ""


def _none(_scope: Scope) -> Q:
    return Q(pk__in=())


def _all(_scope: Scope) -> Q:
    return Q()


def _of_stores(path: str = "store") -> Rows:
    return lambda scope: Q(**{f"{path}__in": scope.stores or ()})


def _of_teams(path: str) -> Rows:
    return lambda scope: Q(**{f"{path}__in": scope.teams or ()})


def _policies(scope: Scope) -> Q:
    return _of_stores()(scope) | Q(store=None)


def _conversations(scope: Scope) -> Q:
    return Q(pk__in=scope.conversations().order_by().values("pk"))


def _contacts(scope: Scope) -> Q:
    return Q(pk__in=scope.contacts().order_by().values("pk"))


def _sent(scope: Scope) -> Q:
    return _of_stores("event__order__store")(scope) | _of_stores("checkout__store")(scope)


def _colleagues(scope: Scope) -> Q:
    """People of their teams, and those to whom the teams' conversations are still assigned: a form
    without its present value would remove it."""
    members = User.objects.filter(teams__in=scope.teams or ())
    assigned = scope.conversations().filter(assignee__isnull=False).order_by()
    return Q(pk__in=members.values("pk")) | Q(pk__in=assigned.values("assignee"))


CLOSED: Final = Limit(_none)

LIMITS: Final[dict[str, Limit]] = {
    "orders.Store": Limit(_of_stores("pk")),
    "orders.Order": Limit(_of_stores()),
    "orders.OrderAction": Limit(_of_stores("order__store")),
    "orders.OrderEvent": Limit(_of_stores("order__store")),
    "orders.Policy": Limit(
        _policies, why="The general ones apply to their stores, too; they can't change those."
    ),
    # Entries without a store are about people, roles and settings.
    "orders.AuditEntry": Limit(_of_stores("store_id")),
    "orders.PrivacyRequest": Limit(_of_stores()),
    "orders.RedactedIdentity": Limit(_of_stores()),
    "shopify_sync.ShopConnection": Limit(
        _of_stores(), may_add=False, why="Connecting a store would choose any store by its domain."
    ),
    "shopify_sync.Backfill": Limit(_of_stores()),
    "shopify_sync.SyncCursor": Limit(_of_stores()),
    "shopify_sync.Comparison": Limit(_of_stores()),
    "shopify_sync.Drift": Limit(_of_stores()),
    "shopify_sync.WebhookEvent": Limit(_of_stores()),
    "shopify_sync.WebhookTally": Limit(_none, why="The balance adds all stores up."),
    "inbox.Team": Limit(_of_teams("pk")),
    "inbox.Channel": Limit(_of_teams("team")),
    "inbox.Conversation": Limit(_conversations),
    "inbox.Contact": Limit(_contacts),
    "inbox.CampaignMessage": Limit(_sent),
    "inbox.Campaign": Limit(_none, why="A campaign writes to customers of every store."),
    "inbox.HelpDeskFrame": Limit(_none, why="A frame serves agents of every team."),
    "inbox.ApiToken": Limit(_none, why="A token acts with everything that its owner may do."),
    "inbox.CustomerView": Limit(_none, why="Who opened which customer is for auditors."),
    "inbox.FailedLogIn": Limit(_none, why="Attacks on accounts concern the whole installation."),
    "inbox.WebhookEndpoint": Limit(_none, why="An endpoint can be told about every store."),
    "inbox.WebhookDelivery": Limit(_none, why="The log is about every store."),
    "inbox.RoleGrant": Limit(_none, why="A role isn't bound to a team."),
    "auth.User": Limit(
        _none, choices=_colleagues, why="An account isn't bound to a team, nor are its roles."
    ),
    "auth.Group": Limit(
        _none, choices=_all, why="A role isn't bound to a team; a policy needs its name only."
    ),
}


class TeamLimit:
    """Shows agents and supervisors who have admin permissions only what their teams see."""

    def applies_to(self, user: User | AnonymousUser) -> bool:
        """Return whether teams limit what this person sees."""
        return visibility.admin_scope(user).teams is not None

    def apply(self, user: User | AnonymousUser, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return those of the rows that this person sees."""
        return self._narrowed(user, rows, limit_of(rows.model).rows)

    def choices(self, user: User | AnonymousUser, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return those of the rows that a form offers this person."""
        limit = limit_of(rows.model)
        return self._narrowed(user, rows, limit.choices or limit.rows)

    def may_add(self, user: User | AnonymousUser, model: type[Model]) -> bool:
        """Return whether this person may add rows, if their permissions allow it: not where they
        see none."""
        limit = limit_of(model)
        return not self.applies_to(user) or (limit.may_add and limit.rows is not _none)

    def _narrowed(
        self, user: User | AnonymousUser, rows: QuerySet[Any], which: Rows
    ) -> QuerySet[Any]:
        scope = visibility.admin_scope(user)
        return rows if scope.teams is None else rows.filter(which(scope))


def limit_of(model: type[Model]) -> Limit:
    """Return what limited people see of a model; nothing if no one has decided it."""
    return LIMITS.get(model._meta.label, CLOSED)


DESK.limits.append(TeamLimit())
