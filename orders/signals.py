"""What orders tells whoever listens. Ids only.

What looks different is told in the transaction that changed it, so that what listeners write is
committed with the change or not at all; it is sent robustly, and must not break the transaction.
"""

from django.dispatch import Signal

# An order looks different now. Sent with order_id, in the transaction. Received by
# inbox.receivers, which tells browsers, and looks again at what waits for just that.
order_changed = Signal()
# An event of the timeline was written. Sent with event_id, after commit. Received by
# inbox.receivers, which rings for campaigns; a lost signal is found by the sweep over unannounced
# events (inbox.tasks.sweep_events).
event_recorded = Signal()
# Many orders came at once (a back-fill). Sent with order_ids, in the transaction. Received by
# inbox.receivers.
orders_imported = Signal()
# A Shopify customer looks different now. Sent with customer_id, in the transaction. Received by
# inbox.receivers.
customer_changed = Signal()
# The file beside the database was read again, after a backup was restored. Sent with `entries`:
# those that are not of redacted people. Received by inbox.receivers, whose opt-outs they are.
ledger_read = Signal()
