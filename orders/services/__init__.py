"""The verbs: the only writers of this app's tables."""

from orders.services.actions import (
    Guard,
    check_now,
    earlier_action,
    request_action,
    withdraw,
)
from orders.services.approvals import (
    approval_refusal,
    approve,
    decline,
    expire_approvals,
    keep_money,
    settle_by_hand,
    settling_refusal,
)
from orders.services.checkouts import note_checkout, record_checkout
from orders.services.customers import (
    mark_customer_dirty,
    mark_unread_customers,
    note_merge,
    record_customer,
)
from orders.services.eligibility import Objection
from orders.services.importing import Imported, import_snapshots
from orders.services.missing import keep_hidden
from orders.services.performing import (
    SEND_WITHIN,
    begin_step,
    booked,
    claim,
    end_overdue,
    human_needed,
    keep,
    release,
    renew,
    settle,
)
from orders.services.projection import (
    mark_awaiting_banks,
    mark_dirty,
    mark_many_dirty,
    mark_missing,
    mark_partial_dirty,
    record_snapshot,
)
from orders.services.uninstalls import hand_over, hand_over_uninstalled, make_way

__all__ = [
    "SEND_WITHIN",
    "Guard",
    "Imported",
    "Objection",
    "approval_refusal",
    "approve",
    "begin_step",
    "booked",
    "check_now",
    "claim",
    "decline",
    "earlier_action",
    "end_overdue",
    "expire_approvals",
    "hand_over",
    "hand_over_uninstalled",
    "human_needed",
    "import_snapshots",
    "keep",
    "keep_hidden",
    "keep_money",
    "make_way",
    "mark_awaiting_banks",
    "mark_customer_dirty",
    "mark_dirty",
    "mark_many_dirty",
    "mark_missing",
    "mark_partial_dirty",
    "mark_unread_customers",
    "note_checkout",
    "note_merge",
    "record_checkout",
    "record_customer",
    "record_snapshot",
    "release",
    "renew",
    "request_action",
    "settle",
    "settle_by_hand",
    "settling_refusal",
    "withdraw",
]
