"""How a person wants to be told about requests that wait for their approval."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class NoticeChoice(models.Model):
    """One person's choice; without a row, the defaults apply."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="notice_choice"
    )
    on_page = models.BooleanField(default=True, help_text="On any page that is open.")
    on_desktop = models.BooleanField(
        default=False, help_text="By browsers in which they have allowed notifications."
    )
    by_email = models.BooleanField(
        null=True, help_text="Empty: as APPROVAL_EMAILS in the settings says."
    )

    def __str__(self) -> str:
        return f"Notices of {self.user}"

    @property
    def wants_email(self) -> bool:
        """Whether to email them."""
        found: bool = settings.APPROVAL_EMAILS if self.by_email is None else self.by_email
        return found
