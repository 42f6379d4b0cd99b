"""Production settings. Secrets have no defaults; a missing one stops startup."""

from django.core.exceptions import ImproperlyConfigured

from settings import env
from settings.base import *  # noqa: F403

SECRET_KEY = env.text("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.items("SECRET_KEY_FALLBACKS")
FIELD_ENCRYPTION_KEYS = env.items("FIELD_ENCRYPTION_KEYS", None)
ALLOWED_HOSTS = env.items("ALLOWED_HOSTS", None)
PUBLIC_URL = env.text("PUBLIC_URL").rstrip("/")
REDIS_URL = env.redis("REDIS_URL")
if OIDC_ISSUER and not OIDC_ISSUER.startswith("https://"):
    raise ImproperlyConfigured("OIDC_ISSUER must be an https address.")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
CACHES = {
    "default": {
        "BACKEND": "core.cache.RedisOrMemory",
        "LOCATION": REDIS_URL,
        "OPTIONS": {
            "pool_class": "core.redis_servers.Pool",
            "socket_timeout": 2.0,
            "socket_connect_timeout": 1.0,
        },
    }
}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", True)
# Only behind a proxy that sets this header itself; otherwise any client could claim https.
if TRUSTED_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31536000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = True
SESSION_COOKIE_NAME = "__Host-sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken"
LANGUAGE_COOKIE_NAME = "__Host-django_language"

# JSON for log collectors; dev logs readable lines.
LOGGING["handlers"]["console"]["formatter"] = "json"
