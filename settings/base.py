"""Settings shared by all environments; dev, test and production say what differs, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from core.observability import sentry
from settings import env

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(env.text("VAR_DIR", str(BASE_DIR / "var")))

DEBUG = False
ALLOWED_HOSTS: list[str] = []
PUBLIC_URL = env.text("PUBLIC_URL", "").rstrip("/")

INSTALLED_APPS = [
    "settings.admin_config.DeskConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "csp",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "orders",
    "shopify_sync",
    "inbox",
    "practice_store",
]

MIDDLEWARE = [
    "core.response_headers.ResponseHeaders",
    "core.observability.metrics.Metrics",
    "inbox.middleware.TlsForPrograms",
    "django.middleware.security.SecurityMiddleware",
    "inbox.middleware.SidebarWindows",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "inbox.middleware.VaryOnFragment",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "inbox.middleware.PageLanguage",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "inbox.middleware.Sessions",
    "allauth.account.middleware.AccountMiddleware",
    "inbox.middleware.LogInForFragments",
    # Every view requires login unless it opts out and says why.
    "inbox.middleware.LoginRequired",
    "inbox.middleware.FactorRequired",
    "inbox.middleware.RoleCheck",
    "inbox.middleware.SessionLimit",
    "inbox.middleware.LivePositions",
    "core.change_origin.RequestOrigin",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # Behind those that set headers, so that its 405 has them, too.
    "core.response_headers.KnownMethods",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "settings.urls"
WSGI_APPLICATION = "settings.wsgi.application"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"

# Signing in (docs/signing-in.md). allauth has the flows; inbox.accounts has the rules.
AUTHENTICATION_BACKENDS = ["inbox.accounts.adapter.UsernameOrEmail"]
ACCOUNT_ADAPTER = "inbox.accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {"reset_password": "inbox.accounts.login.passwords.ResetByEmail"}
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "inbox.accounts.login.links.LinkTokens"  # noqa: S105  a class
ACCOUNT_PASSWORD_MIN_LENGTH = 12
# An office shares one address. Passwords at the login have a throttle of their own
# (inbox.accounts.login.throttling); this one is for codes and for proving again who one is.
ACCOUNT_RATE_LIMITS = {
    "login_failed": "60/m/ip,10/300s/key",
    # A stranger who uses these up has had links sent to the account's owner, who can use them.
    "reset_password": "20/m/ip,5/h/key",
}
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https"
USERSESSIONS_ADAPTER = "inbox.accounts.adapter.SessionsAdapter"
# A provider of identities, such as Keycloak, Okta or Google Workspace. Empty: none.
OIDC_ISSUER = env.text("OIDC_ISSUER", "").rstrip("/")
OIDC_NAME = env.text("OIDC_NAME", "single sign-on")
SOCIALACCOUNT_ADAPTER = "inbox.accounts.login.single_sign_on.SocialAdapter"
SOCIALACCOUNT_AUTO_SIGNUP = False
SOCIALACCOUNT_LOGIN_ON_GET = False
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {"openid_connect": {"OAUTH_PKCE_ENABLED": True}}
if OIDC_ISSUER:
    SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"] = [
        {
            "provider_id": "sso",
            "name": OIDC_NAME,
            "client_id": env.text("OIDC_CLIENT_ID"),
            "secret": env.text("OIDC_CLIENT_SECRET"),
            "settings": {"server_url": OIDC_ISSUER},
        }
    ]
MFA_ADAPTER = "inbox.accounts.adapter.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
# The clock of a phone may be half a minute off.
MFA_TOTP_TOLERANCE = 1
# An office shares one address, and a passkey can't be guessed.
MFA_RATE_LIMITS = {"webauthn_login": "120/m/ip"}
# Whether people who can move or approve money need a second factor, and for how long a proof of
# who is there counts; 0 minutes: it isn't asked again.
SECOND_FACTOR_REQUIRED = env.flag("SECOND_FACTOR_REQUIRED", True)
REAUTHENTICATION_MINUTES = env.whole("REAUTHENTICATION_MINUTES", 15)

TEMPLATES: list[dict[str, object]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ],
        },
    },
]

DATABASES = {"default": env.database("DATABASE_URL", f"sqlite:///{VAR_DIR / 'inbox.sqlite3'}")}
# The role that owns the tables and runs `migrate`. Empty: the same as DATABASE_URL's.
MIGRATION_DATABASE = (
    env.database("MIGRATION_DATABASE_URL", "") if env.text("MIGRATION_DATABASE_URL", "") else None
)
# A standby that answers lists, search and reports (core.database.replica), and how many seconds it may
# be behind to answer reports.
REPLICA_MAX_LAG_S = env.whole("REPLICA_MAX_LAG_SECONDS", 10)
if env.text("DATABASE_REPLICA_URL", ""):
    DATABASES["replica"] = env.replica("DATABASE_REPLICA_URL")
    DATABASE_ROUTERS = ["core.database.replica.Router"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
_VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS: list[dict[str, object]] = [
    {"NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator"},
    {"NAME": f"{_VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": f"{_VALIDATION}.CommonPasswordValidator"},
    {"NAME": "inbox.accounts.login.passwords.GuessablePasswordValidator"},
]
# Of a link that sets a first password; a reset's is shorter (inbox.accounts.login.links).
PASSWORD_RESET_TIMEOUT = 3 * 86400

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("de", _("German")), ("ar", _("Arabic"))]
LOCALE_PATHS = [BASE_DIR / "inbox" / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = Path(env.text("STATIC_ROOT", str(VAR_DIR / "static")))
# Scripts of other sites have no use for them.
WHITENOISE_ALLOW_ALL_ORIGINS = False
# Text has its encoding anyway; these are XML.
WHITENOISE_MIMETYPES = {".svg": "image/svg+xml; charset=utf-8"}
# Static files may be read by a web server in front; everything else in VAR_DIR is private
# (core.server.private_files).
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o755

# The Celery broker, and the channel that wakes live updates. Empty: none (tests, a bare shell).
REDIS_URL = env.text("REDIS_URL", "")
# A broker of its own instead, such as RabbitMQ: amqp://user:password@host/vhost, amqps://…
BROKER_URL = env.broker_url()
CACHES: dict[str, object] = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

# Trust X-Forwarded-For and -Proto. Turn this on only behind a proxy that sets both itself.
TRUSTED_PROXY = env.flag("TRUSTED_PROXY")

# The implementation of orders.shopify_port, through which orders reach Shopify.
ORDERS_GATEWAY = "shopify_sync.gateway.ShopifyGateway"
SHOPIFY_API_VERSION = env.text("SHOPIFY_API_VERSION", "2026-10")
# The practice store's address; shopify_sync.checks refuses it outside DEBUG and staging.
SHOPIFY_ADMIN_ORIGIN = env.text("SHOPIFY_ADMIN_ORIGIN", "").rstrip("/")
# The only shops that staging may connect, all of the practice store. Empty: this isn't staging.
PRACTICE_SHOPS: tuple[str, ...] = ()
# How far back a new store is read if Shopify granted read_all_orders; 60 days otherwise.
BACKFILL_DAYS = env.parsed("BACKFILL_DAYS", int, "365", "a number of days")
FIELD_ENCRYPTION_KEYS: list[str] = []
# Seal the audit log: the first seals, all verify. Empty: derived from FIELD_ENCRYPTION_KEYS.
AUDIT_KEYS = env.items("AUDIT_KEYS")
# Where the chain's heads are noted, so that `audit_verify` notices a chain that was cut off or
# built again: put it on a disk that backups don't restore. Empty: nowhere.
AUDIT_HEADS_FILE = env.text("AUDIT_HEADS_FILE", str(VAR_DIR / "audit-heads.jsonl"))

# How long personal data is kept (orders.privacy.retention); 0 means forever.
RETENTION_WEBHOOK_BODY_DAYS = env.whole("RETENTION_WEBHOOK_BODY_DAYS", 14)
RETENTION_ORDER_PERSONAL_DAYS = env.whole("RETENTION_ORDER_PERSONAL_DAYS", 60)
RETENTION_MESSAGES_MONTHS = env.whole("RETENTION_MESSAGES_MONTHS", 24)
RETENTION_DRAFT_DAYS = env.whole("RETENTION_DRAFT_DAYS", 90)
RETENTION_VIEWS_DAYS = env.whole("RETENTION_VIEWS_DAYS", 365)
RETENTION_WEBHOOK_LOG_DAYS = env.whole("RETENTION_WEBHOOK_LOG_DAYS", 30)
RETENTION_SESSION_DAYS = env.whole("RETENTION_SESSION_DAYS", 90)
# Hashes the identifiers in the ledger of redacted people; keep it as long as you keep backups.
# Empty: derived from FIELD_ENCRYPTION_KEYS.
PRIVACY_KEY = env.text("PRIVACY_KEY", "")
# A copy of that ledger, to redact again after restoring a backup: put it on a disk that backups
# don't restore.
REDACTION_LEDGER_FILE = env.text("REDACTION_LEDGER_FILE", str(VAR_DIR / "redactions.jsonl"))

globals().update(env.email("EMAIL_URL", "console://"))
# Whether people are emailed about requests for approval until they choose for themselves.
APPROVAL_EMAILS = env.flag("APPROVAL_EMAILS", default=True)
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "Agent Inbox <inbox@localhost>")

# Who cancels and refunds orders without a conversation (inbox.access): "agents", "supervisors", or
# "auto", which means agents unless a help desk shows our panel, which has assignees of its own.
ORDERS_WITHOUT_CONVERSATION = env.choice(
    "ORDERS_WITHOUT_CONVERSATION", "auto", ("auto", "agents", "supervisors")
)

# The class that passes text messages to an SMS provider (inbox.channels.sms). Empty: none are sent.
SMS_BACKEND = env.text("SMS_BACKEND", "")

# Django answers 400 to a larger body, and after eight failed deliveries in a row Shopify drops the
# subscription. Bodies reach several hundred KB; the default of 2.5 MB is too close.
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 2**20
DATA_UPLOAD_MAX_NUMBER_FIELDS = 500
# No page takes large files, so none is written to the disk: what doesn't fit into memory
# (FILE_UPLOAD_MAX_MEMORY_SIZE) is dropped.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]

# A session ends after this long without activity, and in any case after SESSION_MAX_HOURS
# (inbox.accounts.login.sessions).
SESSION_COOKIE_AGE = env.whole("SESSION_IDLE_HOURS", 8, least=1) * 3600
SESSION_LONGEST_S = env.whole("SESSION_MAX_HOURS", 24, least=1) * 3600
SESSION_SAVE_EVERY_REQUEST = False
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_HTTPONLY = True
MESSAGE_STORAGE = "core.message_storage.MessageStorage"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY: dict[str, object] = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "https://cdn.shopify.com"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
    },
}

# Requests per minute through the REST API, for each token or person, and incoming messages per
# minute for each channel (inbox.api.limits); 0: unlimited.
# And pages, fragments and exports that a person opens with their sessions (inbox.middleware).
SESSION_REQUESTS_PER_MINUTE = env.whole("SESSION_REQUESTS_PER_MINUTE", 3000)
API_REQUESTS_PER_MINUTE = env.whole("API_REQUESTS_PER_MINUTE", 1200)
CHANNEL_MESSAGES_PER_MINUTE = env.whole("CHANNEL_MESSAGES_PER_MINUTE", 6000)
REST_FRAMEWORK: dict[str, object] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "inbox.api.authentication.ApiTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "inbox.api.permissions.HasRole",
        "inbox.api.authentication.HasScope",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["inbox.api.limits.PerKey"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["inbox.api.parsers.PlainJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "inbox.api.problems.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Agent Inbox",
    "DESCRIPTION": "Conversations, orders, and the actions agents can take on them.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {
        "ActionKind": "orders.models.ActionKind",
        "AddressKind": ["email", "phone"],
        "EventKind": "orders.models.EventKind",
        "IdentityKind": ["email", "phone", "shopify_customer"],
        "MessageKind": "inbox.models.MessageKind",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "inbox.api.schema.add_problems",
    ],
    "SERVE_PERMISSIONS": ["inbox.api.permissions.HasRole"],
    # Served from our static files: the CSP above allows no scripts from other hosts.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"masking": {"()": "core.observability.masking.MaskingFilter"}},
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
        "json": {"()": "core.observability.masking.JsonFormatter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["masking"],
        },
    },
    "root": {"handlers": ["console"], "level": env.text("LOG_LEVEL", "INFO")},
    "loggers": {
        # Bodies and addresses must not reach a log through a library's debug output.
        "urllib3": {"level": "WARNING"},
        "pyactiveresource": {"level": "WARNING"},
        # Servers bring their own handlers, which bypass the masking filter.
        "uvicorn": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        "django.server": {"handlers": ["console"], "level": "INFO", "propagate": False},
    },
}
DEFAULT_EXCEPTION_REPORTER = "core.observability.masked_error_reports.MaskingReporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "core.observability.masked_error_reports.MaskingReporterFilter"

# Who may read /metrics: addresses or networks, comma-separated.
METRICS_ALLOW = env.networks("METRICS_ALLOW", "127.0.0.1,::1")
# Empty: errors are only logged.
SENTRY_DSN = env.text("SENTRY_DSN", "")
sentry.start(SENTRY_DSN)
