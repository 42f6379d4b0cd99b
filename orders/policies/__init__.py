"""What a person's role allows: act alone, only with a note, only with approval, or not at all."""

from orders.policies.applying import (
    effective,
    policies_of,
    policy_at,
    policy_of,
)
from orders.policies.approving import (
    agreeing_refusal,
    may_approve,
    needs_signature,
)
from orders.policies.budgets import (
    DAY,
    spending,
    spent_by,
    spent_today,
)
from orders.policies.conditions import unknown_facts
from orders.policies.decision import (
    ALLOWED,
    Ruling,
    judge,
)
from orders.policies.facts import (
    CUSTOMER_DAYS,
    SENDER_LOOKUPS,
    UNKNOWN,
    Facts,
    agent_days,
    current_facts,
    order_facts,
)
from orders.policies.roles import (
    ACTING_ROLES,
    AGENTS,
    SUPERVISORS,
    acting_refusal,
    is_supervisor,
)
from orders.policies.shop_currency import (
    in_shop_currency,
)

__all__ = [
    "ACTING_ROLES",
    "AGENTS",
    "ALLOWED",
    "CUSTOMER_DAYS",
    "DAY",
    "SENDER_LOOKUPS",
    "SUPERVISORS",
    "UNKNOWN",
    "Facts",
    "Ruling",
    "acting_refusal",
    "agent_days",
    "agreeing_refusal",
    "current_facts",
    "effective",
    "in_shop_currency",
    "is_supervisor",
    "judge",
    "may_approve",
    "needs_signature",
    "order_facts",
    "policies_of",
    "policy_at",
    "policy_of",
    "spending",
    "spent_by",
    "spent_today",
    "unknown_facts",
]
