"""Admin pages for teams, channels, frames, API tokens, campaigns, contacts and conversations."""

from inbox.admin import (
    campaigns,
    channels,
    conversations,
    customer_views,
    frames,
    teams,
    tokens,
)

__all__ = ["campaigns", "channels", "conversations", "customer_views", "frames", "teams", "tokens"]
