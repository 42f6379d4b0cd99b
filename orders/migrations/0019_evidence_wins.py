"""What was said not to have happened may turn out done: what Shopify shows wins."""

from importlib import import_module

from django.db import migrations

from orders.migrations import _action_guard

# Frozen here; tests/orders/database/test_database.py holds it against orders.models.TRANSITIONS.
_BEFORE = import_module("orders.migrations.0012_engine_truth")
SETTLED = _BEFORE.SETTLED
_PROVEN = ["succeeded", "awaiting_bank", "partial", "reversed"]
_DENIED = ["rejected", "withdrawn", "declined", "expired"]
MOVES = {**_BEFORE.MOVES, **dict.fromkeys(_DENIED, _PROVEN)}


def install_guard(apps, schema_editor):
    _action_guard.install(schema_editor, moves=MOVES, settled=SETTLED, emptied=["needs_human"])


def install_old_guard(apps, schema_editor):
    _action_guard.install(
        schema_editor, moves=_BEFORE.MOVES, settled=SETTLED, emptied=["needs_human"]
    )


class Migration(migrations.Migration):
    dependencies = [("orders", "0018_incomplete")]

    operations = [migrations.RunPython(install_guard, install_old_guard)]
