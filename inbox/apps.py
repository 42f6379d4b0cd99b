from django.apps import AppConfig


class InboxConfig(AppConfig):
    name = "inbox"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Importing registers: signal receivers, system checks, personal data, dashboard tiles.
        # The admin pages of users and groups replace Django's own, so they come last.
        from inbox import access, checks, dashboard, personal_data, receivers  # noqa: F401
        from inbox.accounts import admin, audit, staff_roles  # noqa: F401
        from orders.actions import guards

        # Whose order it is, checked before anything is sent to Shopify.
        if access.sending_refusal not in guards.RULES:
            guards.RULES.append(access.sending_refusal)
