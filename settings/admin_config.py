"""Django's admin with our site in its place."""

from django.contrib.admin.apps import AdminConfig


class DeskConfig(AdminConfig):
    default_site = "settings.admin_site.DeskSite"
