"""Actions can't be deleted, and audit entries can't be replaced."""

from django.db import migrations

from orders.migrations import _action_guard, _append_only

AUDIT = {"orders_auditentry": ["id"], "orders_auditseal": ["seq", "entry_id", "prev_hash"]}


def install(apps, schema_editor):
    for table, unique in AUDIT.items():
        _append_only.install(schema_editor, table)
        _append_only.refuse_replacing(schema_editor, table, *unique)
    _action_guard.keep(schema_editor)


def remove(apps, schema_editor):
    for table in AUDIT:
        _append_only.install(schema_editor, table)
    _action_guard.release(schema_editor)


class Migration(migrations.Migration):
    dependencies = [("orders", "0022_keyed_chain")]

    operations = [migrations.RunPython(install, remove)]
