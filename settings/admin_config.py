"""Django's admin app with our site as the default."""

from django.contrib.admin.apps import AdminConfig


class DeskConfig(AdminConfig):
    """Use our site as `admin.site`."""

    default_site = "settings.admin_site.DeskSite"
