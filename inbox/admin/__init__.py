"""Admin pages for teams, channels, frames, API tokens, webhooks, campaigns, contacts and conversations."""

from inbox.admin import (
    campaigns,
    channels,
    conversations,
    customer_views,
    frames,
    outgoing_webhooks,
    teams,
    tokens,
)

__all__ = [
    "campaigns",
    "channels",
    "conversations",
    "customer_views",
    "frames",
    "outgoing_webhooks",
    "teams",
    "tokens",
]
