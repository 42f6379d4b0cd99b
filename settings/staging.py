"""Staging: production's settings with the practice store as the only shop (`./run staging`)."""

import os

from core.server.processes import DEMO_SHOPS
from settings import env
from settings.production import *  # noqa: F403

PRACTICE_SHOPS = DEMO_SHOPS
# Also if it's set, but empty: the domains of practice shops are someone's real ones at Shopify.
SHOPIFY_ADMIN_ORIGIN = (
    env.text("SHOPIFY_ADMIN_ORIGIN", "")
    or f"http://127.0.0.1:{os.environ.get('STORE_PORT') or '9292'}"
).rstrip("/")
# Outermost, so that it also marks the pages of errors and refusals.
MIDDLEWARE = ["inbox.middleware.StagingMark", *MIDDLEWARE]
