"""Which policy applies to a person at a store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from django.contrib.auth.models import User

from orders.models import Policy, Store


def policy_of(user: User, store: Store) -> Policy | None:
    """Return the policy that applies to this person at this store; None means no limits.

    For each role, a store's own policy wins over the general one. With several roles, the most
    generous policy counts: a supervisor who is also an agent has the supervisor's limits.
    """
    return policy_at(policies_of(user), store)


def policies_of(user: User) -> list[Policy]:
    """Return all policies for this person's roles, at any store."""
    return list(Policy.objects.filter(role__in=user.groups.all()))


def policy_at(held: Sequence[Policy], store: Store) -> Policy | None:
    """Choose the policy that applies at a store from those `policies_of` returned. Pure."""
    return effective(held, roles={policy.role_id for policy in held}, store_id=store.pk)


def effective(policies: Iterable[Policy], *, roles: set[int], store_id: int) -> Policy | None:
    """Choose from these policies the one that applies to these roles at this store. Pure."""
    by_role: dict[int, Policy] = {}
    for policy in policies:
        if policy.role_id not in roles or policy.store_id not in {None, store_id}:
            continue
        # A store's own policy replaces the general one, in either order.
        if policy.store_id or policy.role_id not in by_role:
            by_role[policy.role_id] = policy
    return max(by_role.values(), key=lambda p: _generosity(p.refund_up_to), default=None)


def _generosity(limit: Decimal | None) -> Decimal:
    return Decimal("Infinity") if limit is None else limit
