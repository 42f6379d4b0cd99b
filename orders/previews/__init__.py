"""Previews: the summary an agent confirms, computed on the server from a fresh read of the order.

A preview carries a signed token of exactly what it showed. `services.request_action` accepts only
that token, so an agent can confirm only what they saw; if the order changed, they are asked again.
"""

from orders.previews.build import (
    preview_again,
    preview_cancel,
    preview_refund,
    suggest,
)
from orders.previews.changed_facts import (
    changes,
    facts,
)
from orders.previews.eligibility import (
    cancel_refusal_for,
    earlier_refunds,
    method_refusal,
    order_is_delivered,
    ruling_for,
)
from orders.previews.proposals import (
    DISCREPANCY_REASONS,
    REFUND_REASONS,
    STAFF_NOTE_LENGTH,
    CancelChoice,
    Choice,
    Proposal,
    RefundChoice,
    Target,
    decode_proposal,
    encode_proposal,
    reason_words,
)
from orders.previews.return_refunds import (
    return_for,
    return_rows,
    through,
    untouched_rows,
)
from orders.previews.summary import (
    Preview,
    SummaryItem,
    goods_rows,
    summary_rows,
)
from orders.previews.tokens import Confirmed, open_token, read_token, sign_token

__all__ = [
    "DISCREPANCY_REASONS",
    "REFUND_REASONS",
    "STAFF_NOTE_LENGTH",
    "CancelChoice",
    "Choice",
    "Confirmed",
    "Preview",
    "Proposal",
    "RefundChoice",
    "SummaryItem",
    "Target",
    "cancel_refusal_for",
    "changes",
    "decode_proposal",
    "earlier_refunds",
    "encode_proposal",
    "facts",
    "goods_rows",
    "method_refusal",
    "open_token",
    "order_is_delivered",
    "preview_again",
    "preview_cancel",
    "preview_refund",
    "read_token",
    "reason_words",
    "return_for",
    "return_rows",
    "ruling_for",
    "sign_token",
    "suggest",
    "summary_rows",
    "through",
    "untouched_rows",
]
