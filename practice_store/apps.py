from django.apps import AppConfig


class PracticeStoreConfig(AppConfig):
    """An app only to provide its management command; nothing in the product imports it."""

    name = "practice_store"
