"""Admin pages for channels, help desk frames, campaigns, contacts and conversations."""

from inbox.admin import (
    campaigns,
    channels,
    conversations,
    customer_views,
    frames,
)

__all__ = ["campaigns", "channels", "conversations", "customer_views", "frames"]
