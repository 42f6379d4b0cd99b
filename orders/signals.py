"""Signals this app sends. They carry only IDs.

Signals about visible changes are sent inside the transaction that made the change, so whatever
receivers write commits or rolls back with it. They are sent with send_robust: a failing receiver
must not break the transaction.
"""

from django.dispatch import Signal

# An order's visible state changed. Sent with order_id, in the transaction. Received by
# inbox.receivers, which notifies browsers and rechecks what was waiting for this order.
order_changed = Signal()
# A request for approval was made, or no longer waits as it did. Sent with action_id, order_id and
# is_new, in the transaction. Received by inbox.receivers, which tells those who may decide.
approvals_changed = Signal()
# An action was requested, or its state changed. Sent with action_id, `before` (empty for a new one)
# and `after`, in the transaction. Received by inbox.receivers, which writes webhooks.
action_moved = Signal()
# Timeline events were written that are news. Sent with event_ids, in the transaction. Received by
# inbox.receivers, which writes webhooks.
events_written = Signal()
# A timeline event was written. Sent with event_id, after commit. Received by inbox.receivers,
# which wakes campaigns; if the signal is lost, the sweep over unannounced events
# (inbox.tasks.sweep_events) finds the event.
event_recorded = Signal()
# A back-fill wrote many orders at once. Sent with order_ids, in the transaction. Received by
# inbox.receivers.
orders_imported = Signal()
# A Shopify customer's visible state changed. Sent with customer_id, in the transaction. Received by
# inbox.receivers.
customer_changed = Signal()
# The redaction ledger's file was read back after restoring a backup. Sent with `entries`: those
# that aren't about redacted people. Received by inbox.receivers, which wrote them (opt-outs).
ledger_read = Signal()
