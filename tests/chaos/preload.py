"""What the fork server loads once, so that a worker starts in milliseconds."""

import django

django.setup()

import orders.services  # noqa: E402, F401
import shopify_sync.actions  # noqa: E402
import shopify_sync.tasks  # noqa: E402, F401
