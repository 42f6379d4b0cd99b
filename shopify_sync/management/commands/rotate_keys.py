"""Re-encrypt every secret with the first of FIELD_ENCRYPTION_KEYS."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import models, transaction

from core.encryption import (
    RESEALERS,
    EncryptedTextField,
    SealedTextField,
    Secret,
    UndecryptableSecret,
    reseal,
)
from orders import audit
from orders.models import AuditKind

_BATCH = 200


class Command(BaseCommand):
    """Re-encrypt every secret with the first key. Raises CommandError if one has no key."""

    help = (
        "Re-encrypt all secrets with the first key. Put the new key first and keep the old "
        "one after it, run this, then remove the old one. Running it again is harmless."
    )

    def handle(self, *args: object, **options: object) -> None:
        for model in apps.get_models():
            # By field type, so that the secrets of any other installed app are found too.
            kinds = (EncryptedTextField, SealedTextField)
            fields = [field for field in model._meta.fields if isinstance(field, kinds)]
            if fields:
                count = self._rotate(model, fields)
                names = ", ".join(field.attname for field in fields)
                self.stdout.write(f"{model._meta.label}: {count} rows, {names}")
        for resealer in RESEALERS:
            try:
                label, count = resealer()
            except UndecryptableSecret as error:
                raise CommandError(
                    "A second factor was encrypted with a key that is not in "
                    "FIELD_ENCRYPTION_KEYS: add that key after the others."
                ) from error
            self.stdout.write(f"{label}: {count} rows")
        audit.record(AuditKind.STORE, actor=None, after="secrets re-encrypted")

    def _rotate(
        self, model: type[models.Model], fields: list[EncryptedTextField | SealedTextField]
    ) -> int:
        rows: models.Manager[Any] = model._default_manager
        names = [field.attname for field in fields]
        ids = list(rows.order_by("pk").values_list("pk", flat=True))
        for start in range(0, len(ids), _BATCH):
            with transaction.atomic():
                locked = rows.select_for_update().filter(pk__in=ids[start : start + _BATCH])
                try:
                    for row in locked.order_by("pk").only(*names):
                        for name in names:
                            setattr(row, name, _resealed(getattr(row, name)))
                        row.save(update_fields=names)
                except UndecryptableSecret as error:
                    raise CommandError(
                        f"A secret of {model._meta.label} was encrypted with a key that is not in "
                        "FIELD_ENCRYPTION_KEYS: add that key after the others. Nothing of this "
                        "batch was changed."
                    ) from error
        return len(ids)


def _resealed(value: str) -> str:
    """Return the value to save so that it ends up under the first key.

    A Secret is encrypted by its column on saving; sealed text has to be resealed here. Raises
    UndecryptableSecret.
    """
    return Secret(value.reveal()) if isinstance(value, Secret) else reseal(value)
