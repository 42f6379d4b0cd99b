"""What orders tells whoever listens, after commit. Ids only."""

from django.dispatch import Signal

# An order looks different now. Sent with order_id. Received by inbox.live, which tells browsers.
order_changed = Signal()
# An event of the timeline was written. Sent with event_id. Received by inbox.campaigns; a lost
# signal is found by its sweep over unannounced events.
event_recorded = Signal()
# Many orders came at once (a back-fill). Sent with order_ids, after commit.
orders_imported = Signal()
# A Shopify customer looks different now. Sent with customer_id. Received by inbox.listeners.
customer_changed = Signal()
