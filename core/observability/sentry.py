"""Send errors to Sentry if SENTRY_DSN is set; the optional package is imported only then."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from core.observability.masking import masked_event


def start(dsn: str, *, release: str = "") -> bool:
    """Report errors from now on; return False without a DSN.

    Raises ImproperlyConfigured if the package is missing: failing to start beats losing errors
    silently.
    """
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
