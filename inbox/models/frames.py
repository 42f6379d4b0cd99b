"""Other help desks that may embed our order panel in an iframe."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from core.encryption import EncryptedTextField

# Origins end up in Content-Security-Policy and in postMessage calls: no path, no wildcard.
_HOST: Final = re.compile(r"\A[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\Z")
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost"})


class FrameKind(models.TextChoices):
    """How a help desk says which customer is open, and how far that is believed."""

    CHATWOOT = "chatwoot", "Chatwoot, Zendesk, Freshdesk or Help Scout (agents log in here)"
    GENERIC = "generic", "FreeScout or your own server (signed URL)"


def normal_origin(text: str) -> str:
    """Normalize an origin to lower-case https://desk.example.com[:port].

    Raises ValidationError that says what to fix. http:// is accepted for loopback with DEBUG on.
    """
    word = text.strip().rstrip("/").lower()
    try:
        parts = urlsplit(word)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValidationError(f"{text.strip()} isn't a valid URL.") from error
    if "*" in word:
        raise ValidationError(
            f"{word}: wildcards aren't allowed. Enter each address of the help desk separately."
        )
    is_local = settings.DEBUG and parts.scheme == "http" and host in _LOOPBACK
    if parts.scheme != "https" and not is_local:
        raise ValidationError(f"{word}: an origin starts with https://.")
    plain = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    if not _HOST.match(host) or word != plain:
        raise ValidationError(
            f"{word}: use only scheme, host, and port, such as https://desk.example.com. Leave out "
            "the path, and write international names in their xn-- form."
        )
    return plain.removesuffix(":443") if parts.scheme == "https" else plain


def split_origins(text: str) -> tuple[str, ...]:
    """Parse one origin per line, dropping duplicates. ValidationError lists every problem."""
    found, errors = [], []
    for line in text.split():
        try:
            found.append(normal_origin(line))
        except ValidationError as error:
            errors += error.messages
    if errors:
        raise ValidationError(errors)
    return tuple(dict.fromkeys(found))


def _check_origins(text: str) -> None:
    if not split_origins(text):
        raise ValidationError("Enter at least one origin, such as https://desk.example.com.")


class HelpDeskFrame(models.Model):
    """A help desk that may frame the order panel. Without a row, nothing may frame it."""

    name = models.CharField(
        max_length=100, unique=True, help_text="What agents call the help desk, such as Chatwoot."
    )
    kind = models.CharField(max_length=10, choices=FrameKind.choices)
    origins = models.TextField(
        validators=[_check_origins],
        help_text="The origins of the help desk's pages, one per line: https://desk.example.com. "
        "Only these can show the panel and send it messages.",
    )
    secret = EncryptedTextField(blank=True, default="", editable=False)
    confirm_up_to = models.DecimalField(
        "Confirm in the frame up to",
        max_digits=12,
        decimal_places=2,
        default=Decimal(0),
        validators=[MinValueValidator(Decimal(0))],
        help_text="In the shop's currency. Above this amount, the confirmation opens in a separate "
        "window, where the other page can't cover the button. 0: every confirmation does.",
    )
    proves_addresses = models.BooleanField(
        "always verifies its customers' addresses",
        default=False,
        help_text="Select this only if customers can't write to that help desk under an address "
        "that isn't theirs (in Chatwoot: with identity validation, or channels that "
        "verify the address themselves). If off, a signed address must say “verified”; an "
        "unverified address shows no orders.",
    )
    is_active = models.BooleanField(
        default=True, help_text="If off, the help desk can't show the panel."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "help desk frame"
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=FrameKind.values), name="inbox_frame_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(confirm_up_to__gte=0), name="inbox_frame_limit_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Normalize the origins; the field's validator reports what is wrong with them."""
        # The field's own validator has already reported this error to the form.
        try:
            self.origins = "\n".join(split_origins(self.origins))
        except ValidationError:
            return

    def allowed_origins(self) -> tuple[str, ...]:
        """Origins that may frame the panel right now.

        Empty for an inactive row, and for one with an origin that was valid only with DEBUG on.
        """
        if not self.is_active:
            return ()
        try:
            return split_origins(self.origins)
        except ValidationError:
            return ()


class FrameCode(models.Model):
    """A one-time code that opens a frame; `used_at` is set by compare-and-set.

    For a signed address the row is written when the address is used, so that the unique digest
    makes a second use fail.
    """

    frame = models.ForeignKey(HelpDeskFrame, models.CASCADE, related_name="codes")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the code.")
    # Set for a code that an agent got in a window of ours; `challenge` ties it to the frame that
    # asked for it.
    agent = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    session_key = models.CharField(max_length=40, blank=True)
    challenge = models.CharField(max_length=64, blank=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        # Expired codes are deleted whenever a new one is written.
        indexes = [models.Index(fields=["expires_at"], name="inbox_frame_code_expired")]

    def __str__(self) -> str:
        return f"Code {self.pk} of {self.frame_id}"
