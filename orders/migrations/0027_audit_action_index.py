"""Audit entries are found by their action (audit_verify), while the log is written to."""

from django.db import migrations, models

from core.database.index_migrations import AddIndexWhileInUse


class Migration(migrations.Migration):
    # CREATE INDEX CONCURRENTLY refuses to run in a transaction.
    atomic = False

    dependencies = [
        ("orders", "0026_dirty_indexes"),
    ]

    operations = [
        AddIndexWhileInUse(
            model_name="auditentry",
            index=models.Index(fields=["action_id"], name="orders_audit_action"),
        ),
    ]
