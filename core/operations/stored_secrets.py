"""Whether the keys of this environment decrypt what the database holds."""

from __future__ import annotations

from django.apps import apps
from django.db import models

from core.encryption import (
    EncryptedTextField,
    SealedTextField,
    Secret,
    UndecryptableSecret,
    unseal,
)


def unreadable() -> dict[str, int]:
    """Return how many secrets no key in FIELD_ENCRYPTION_KEYS decrypts, by model. Shows none."""
    found: dict[str, int] = {}
    for model in apps.get_models():
        names = [
            field.attname
            for field in model._meta.fields
            if isinstance(field, EncryptedTextField | SealedTextField)
        ]
        if names and (count := _unreadable_of(model, names)):
            found[model._meta.label] = count
    return found


def _unreadable_of(model: type[models.Model], names: list[str]) -> int:
    rows = model._base_manager.only(*names)
    return sum(not _is_readable(getattr(row, name)) for row in rows.iterator() for name in names)


def _is_readable(value: str) -> bool:
    try:
        if isinstance(value, Secret):
            value.reveal()
        elif value:
            unseal(value)
    except UndecryptableSecret:
        return False
    return True
