"""Settings of an installation under attack; database, broker and shop come from outside."""

from settings import env
from settings.dev import *  # noqa: F403

DEBUG = False
ALLOWED_HOSTS = ["*"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# Without a broker messages go nowhere, which is one of the faults.
CELERY_BROKER_URL = env.text("CHAOS_BROKER_URL", "memory://")
SILENCED_SYSTEM_CHECKS = ["shopify_sync.E001"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
LOGGING["root"]["level"] = "ERROR"
LOGGING["loggers"]["shopify_sync"] = {"level": "CRITICAL"}
