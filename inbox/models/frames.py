"""Another help desk that may show our order panel in a frame of its page (row G13)."""

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

# What may stand in a Content-Security-Policy, and in postMessage: no path, no wildcard.
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\Z")
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost"})


class FrameKind(models.TextChoices):
    CHATWOOT = "chatwoot", "Chatwoot (dashboard app)"
    GENERIC = "generic", "Any other (signed address)"


def normal_origin(text: str) -> str:
    """https://desk.example.com[:port], in lower case. Raises ValidationError with what to do."""
    word = text.strip().rstrip("/").lower()
    try:
        parts = urlsplit(word)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValidationError(f"{text.strip()} is not a valid web address.") from error
    if "*" in word:
        raise ValidationError(
            f"{word}: wildcards are not allowed. List each address of the help desk by itself."
        )
    is_local = settings.DEBUG and parts.scheme == "http" and host in _LOOPBACK
    if parts.scheme != "https" and not is_local:
        raise ValidationError(f"{word}: an origin begins with https://.")
    plain = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    if not _HOST.match(host) or word != plain:
        raise ValidationError(
            f"{word}: only scheme, host and port, such as https://desk.example.com. Leave out "
            "the path, and write international names in their xn-- form."
        )
    return plain.removesuffix(":443") if parts.scheme == "https" else plain


def split_origins(text: str) -> tuple[str, ...]:
    """One a line. Raises ValidationError with everything that is wrong."""
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
        raise ValidationError("List at least one origin, such as https://desk.example.com.")


class HelpDeskFrame(models.Model):
    """No row: the panel is framed by nobody."""

    name = models.CharField(
        max_length=100, unique=True, help_text="What agents call the help desk, such as Chatwoot."
    )
    kind = models.CharField(max_length=10, choices=FrameKind.choices)
    origins = models.TextField(
        validators=[_check_origins],
        help_text="Where the help desk's pages are, one origin a line: "
        "https://desk.example.com. Only these may frame the panel and send it messages.",
    )
    secret = EncryptedTextField(blank=True, default="", editable=False)
    confirm_up_to = models.DecimalField(
        "Confirm in the frame up to",
        max_digits=12,
        decimal_places=2,
        default=Decimal(0),
        validators=[MinValueValidator(Decimal(0))],
        help_text="In the shop's currency. Above it the confirmation opens in a window of its "
        "own, where the other page cannot lay anything over the button. 0: every confirmation.",
    )
    proves_addresses = models.BooleanField(
        "always proves its customers' addresses",
        default=False,
        help_text="Tick only where a customer cannot write to that help desk under an address "
        "that is not theirs (in Chatwoot: with identity validation, or channels that prove the "
        "address themselves). Off: a signed address says it with “verified”; an address that "
        "nobody proved shows no orders.",
    )
    is_active = models.BooleanField(default=True, help_text="Off: nobody may frame the panel.")
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
        # A field with an error is not normal yet; the form shows that one.
        try:
            self.origins = "\n".join(split_origins(self.origins))
        except ValidationError:
            return

    def allowed_origins(self) -> tuple[str, ...]:
        """Who may frame it now. A row that was valid only with DEBUG on allows nothing else."""
        if not self.is_active:
            return ()
        try:
            return split_origins(self.origins)
        except ValidationError:
            return ()


class FrameCode(models.Model):
    """A code that opens a frame, once: `used_at` is set by compare-and-set. Of a signed address
    the row is written as it is used, and its digest is what a second use collides with."""

    frame = models.ForeignKey(HelpDeskFrame, models.CASCADE, related_name="codes")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the code.")
    # Of a code that an agent got in a window of ours; only the frame that asked can use it.
    agent = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    session_key = models.CharField(max_length=40, blank=True)
    challenge = models.CharField(max_length=64, blank=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        # Old codes are deleted as new ones are written.
        indexes = [models.Index(fields=["expires_at"], name="inbox_frame_code_expired")]

    def __str__(self) -> str:
        return f"Code {self.pk} of {self.frame_id}"
