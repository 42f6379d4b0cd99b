"""System checks that find a broken SMS provider, or logins that are too easy, at startup."""

from __future__ import annotations

from django.conf import settings
from django.core import checks

from inbox.channels import sms


@checks.register(checks.Tags.security, deploy=True)
def second_factors_are_required(app_configs: object, **kwargs: object) -> list[checks.CheckMessage]:
    """Warn if people who can move money log in with a password alone."""
    if settings.SECOND_FACTOR_REQUIRED:
        return []
    return [
        checks.Warning(
            "SECOND_FACTOR_REQUIRED is off: one guessed password is enough to move money.",
            hint="Remove it from the environment.",
            id="inbox.W001",
        )
    ]


@checks.register(checks.Tags.compatibility)
def sms_backend_works(app_configs: object, **kwargs: object) -> list[checks.CheckMessage]:
    """Check that SMS_BACKEND, if set, names a class that can send."""
    if not settings.SMS_BACKEND:
        return []
    if not sms.is_configured():
        return [
            checks.Error(
                "SMS_BACKEND is set to the console backend, so no text would reach anyone.",
                hint="Set it to a provider's class, or unset it; campaigns then skip SMS and "
                "say so.",
                id="inbox.E001",
            )
        ]
    try:
        sms.backend()
    except (ImportError, TypeError) as error:
        return [
            checks.Error(
                f"SMS_BACKEND={settings.SMS_BACKEND} can't be used: {error}.",
                hint="It must be the dotted path of a class with send(to, text, message_id).",
                id="inbox.E002",
            )
        ]
    return []
