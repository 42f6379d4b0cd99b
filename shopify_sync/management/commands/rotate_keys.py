"""Encrypt every secret anew with the first of FIELD_ENCRYPTION_KEYS."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import models, transaction

from orders import redactions
from orders.models import PrivacyRequest
from shopify_sync.fields import EncryptedTextField, UndecryptableSecret

_BATCH = 200


class Command(BaseCommand):
    help = (
        "Re-encrypts all secrets with the first key. Put the new key first, keep the old one "
        "after it, run this, then drop the old one. Running it again is harmless."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        for model in apps.get_models():
            names = [f.attname for f in model._meta.fields if isinstance(f, EncryptedTextField)]
            if names:
                count = self._rotate(model, names)
                self.stdout.write(f"{model._meta.label}: {count} rows, {', '.join(names)}")

        sealed = PrivacyRequest.objects.exclude(sealed_scope="")
        for request in sealed:
            sealed.filter(pk=request.pk).update(
                sealed_scope=redactions.reseal(request.sealed_scope)
            )
        self.stdout.write(f"{PrivacyRequest._meta.label}: {len(sealed)} rows")

    def _rotate(self, model: type[models.Model], names: list[str]) -> int:
        rows: models.Manager[Any] = model._default_manager
        ids = list(rows.order_by("pk").values_list("pk", flat=True))
        for start in range(0, len(ids), _BATCH):
            with transaction.atomic():
                locked = rows.select_for_update().filter(pk__in=ids[start : start + _BATCH])
                try:
                    for row in locked.only(*names):
                        row.save(update_fields=names)
                except UndecryptableSecret as error:
                    raise CommandError(
                        f"A secret of {model._meta.label} was encrypted with a key that is not in "
                        "FIELD_ENCRYPTION_KEYS: add that key after the others. Nothing of this "
                        "batch was changed."
                    ) from error
        return len(ids)
