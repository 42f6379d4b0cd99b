"""Errors to Sentry, where SENTRY_DSN names one. An optional package: nothing is imported without."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from core.observability.masking import masked_event


def start(dsn: str, *, release: str = "") -> bool:
    """Report errors from now on; False without a DSN. Raises ImproperlyConfigured without the
    package: errors that silently go nowhere are worse than no start."""
    if not dsn:
        return False
    try:
        import sentry_sdk
    except ImportError as error:
        raise ImproperlyConfigured(
            "SENTRY_DSN is set, but sentry-sdk is not installed: "
            "pip install 'sentry-sdk[django,celery]', or unset SENTRY_DSN."
        ) from error
    sentry_sdk.init(
        dsn=dsn,
        release=release or None,
        send_default_pii=False,
        max_request_body_size="never",
        include_local_variables=False,
        before_send=masked_event,
        before_breadcrumb=masked_event,
    )
    return True
