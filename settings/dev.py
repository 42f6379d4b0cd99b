"""Development and the demo: DEBUG, fixed keys, loopback only."""

from settings import env
from settings.base import *  # noqa: F403

DEBUG = True
SECRET_KEY = env.text("SECRET_KEY", "dev-only-not-a-secret-dev-only-not-a-secret-dev-only")
ALLOWED_HOSTS = env.items("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
FIELD_ENCRYPTION_KEYS = env.items(
    "FIELD_ENCRYPTION_KEYS", "ZGV2LW9ubHktbm90LWEtc2VjcmV0LWRldi1vbmx5LTE="
)
SMS_BACKEND = env.text("SMS_BACKEND", "inbox.channels.sms.ConsoleBackend")
# The demo's people log in with a password and nothing else.
SECOND_FACTOR_REQUIRED = env.flag("SECOND_FACTOR_REQUIRED")
REAUTHENTICATION_MINUTES = env.whole("REAUTHENTICATION_MINUTES", 0)
# Tests and measurements open pages faster than people.
SESSION_REQUESTS_PER_MINUTE = env.whole("SESSION_REQUESTS_PER_MINUTE", 0)
APPROVAL_EMAILS = env.flag("APPROVAL_EMAILS")
# A frame that is tried out here belongs to no real help desk with assignees of its own.
ORDERS_WITHOUT_CONVERSATION = env.choice(
    "ORDERS_WITHOUT_CONVERSATION", "agents", ("auto", "agents", "supervisors")
)
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "http"
# Over http, browsers allow passkeys at localhost only.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True
INTERNAL_IPS = ["127.0.0.1"]
