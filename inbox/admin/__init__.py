"""Admin pages for channels, help desk frames and campaigns; conversations live in the inbox."""

from inbox.admin import (
    campaigns,
    channels,
    conversations,
    frames,
)

__all__ = ["campaigns", "channels", "conversations", "frames"]
