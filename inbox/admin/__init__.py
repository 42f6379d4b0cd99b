"""Admin pages for teams, channels, help desk frames, campaigns, contacts and conversations."""

from inbox.admin import (
    campaigns,
    channels,
    conversations,
    customer_views,
    frames,
    teams,
)

__all__ = ["campaigns", "channels", "conversations", "customer_views", "frames", "teams"]
