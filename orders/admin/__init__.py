"""Django admin of orders; importing a module registers its pages."""

from orders.admin import policies, privacy, records  # noqa: F401
