from django.apps import AppConfig


class InboxConfig(AppConfig):
    """Register what Django and the other apps look up: receivers, checks, admin pages, rules."""

    name = "inbox"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Imported for their side effects: they register signal receivers, system checks, personal
        # data, dashboard tiles and limits of the admin. accounts.admin replaces Django's own pages of
        # users and groups.
        from core import encryption
        from inbox import access, checks, dashboard, personal_data, receivers  # noqa: F401
        from inbox.accounts import admin, audit, default_roles  # noqa: F401
        from inbox.accounts.login import factors
        from inbox.admin import limits  # noqa: F401
        from orders import policies
        from orders.actions import added_rules

        # Second factors are in a library's table.
        if factors.reseal not in encryption.RESEALERS:
            encryption.RESEALERS.append(factors.reseal)
        # Checks that the contact still owns the order before anything is sent to Shopify.
        if access.sending_refusal not in added_rules.RULES:
            added_rules.RULES.append(access.sending_refusal)
        # So that policies can ask for verified senders.
        if access.is_sender_verified not in policies.SENDER_LOOKUPS:
            policies.SENDER_LOOKUPS.append(access.is_sender_verified)
