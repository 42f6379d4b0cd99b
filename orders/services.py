"""Services that write this app's tables; nothing else does."""

from orders.actions.approvals import (
    approval_refusal,
    approve,
    decline,
    expire_approvals,
    keep_money,
    needs_signature,
    settle_by_hand,
    settling_refusal,
    signing_request,
)
from orders.actions.requests import (
    Guard,
    check_now,
    earlier_action,
    request_action,
    withdraw,
)
from orders.actions.uninstalls import (
    hand_over,
    hand_over_uninstalled,
    make_way,
)
from orders.actions.worker_steps import end_overdue
from orders.projection.bulk_import import (
    Imported,
    import_snapshots,
)
from orders.projection.checkouts import (
    note_checkout,
    record_checkout,
)
from orders.projection.customers import (
    mark_customer_dirty,
    mark_unread_customers,
    note_merge,
    record_customer,
)
from orders.projection.missing import keep_hidden
from orders.projection.record import (
    mark_awaiting_banks,
    mark_dirty,
    mark_many_dirty,
    mark_missing,
    mark_partial_dirty,
    record_snapshot,
)

__all__ = [
    "Guard",
    "Imported",
    "approval_refusal",
    "approve",
    "check_now",
    "decline",
    "earlier_action",
    "end_overdue",
    "expire_approvals",
    "hand_over",
    "hand_over_uninstalled",
    "import_snapshots",
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
    "needs_signature",
    "note_checkout",
    "note_merge",
    "record_checkout",
    "record_customer",
    "record_snapshot",
    "request_action",
    "settle_by_hand",
    "settling_refusal",
    "signing_request",
    "withdraw",
]
