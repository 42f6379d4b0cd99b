"""Channels, help desk frames and campaigns are configured here; conversations are for the inbox."""

from inbox.admin import campaigns, channels, frames, people

__all__ = ["campaigns", "channels", "frames", "people"]
