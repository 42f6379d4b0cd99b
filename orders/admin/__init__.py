"""Django admin of orders; importing a module registers its pages."""

from orders.admin import actions, orders, policies, privacy, stores  # noqa: F401
