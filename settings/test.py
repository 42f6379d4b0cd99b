"""Test settings: Celery in the same process, mail in memory, fast password hashes."""

from settings.dev import *  # noqa: F403

DEBUG = False
ALLOWED_HOSTS = ["*"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
ORDERS_WITHOUT_CONVERSATION = "auto"
CELERY_TASK_ALWAYS_EAGER = True
CELERY_TASK_EAGER_PROPAGATES = True
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
# A file, so that the threads of a live server share the test's database.
DATABASES["default"].setdefault("TEST", {})
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    VAR_DIR.mkdir(exist_ok=True)
    DATABASES["default"]["TEST"]["NAME"] = VAR_DIR / "test.sqlite3"
    # No test survives a power failure anyway; the fault program (tests.chaos) keeps the real
    # settings.
    DATABASES["default"]["OPTIONS"]["init_command"] = (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA recursive_triggers=ON;"
    )
SHOPIFY_ADMIN_ORIGIN = ""
REDACTION_LEDGER_FILE = str(VAR_DIR / "test-redactions.jsonl")
# Each test begins with an empty log, so no head of an earlier one is in it.
AUDIT_HEADS_FILE = ""
REDIS_URL = BROKER_URL = ""
SMS_BACKEND = ""
