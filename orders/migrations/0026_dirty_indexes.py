"""The sweeps' indexes on `is_dirty`. The old ones find the few rows that it isn't true of yet."""

from django.db import migrations, models
from django.db.models import Q

from core.database.index_migrations import AddIndexWhileInUse, RemoveIndexWhileInUse, fill


def mark(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table in ("orders_order", "orders_customer"):
            # Any update has the trigger set the column.
            fill(
                schema_editor,
                table,
                "dirty_seq = dirty_seq",
                "dirty_seq > clean_seq AND NOT is_dirty",
            )


def analyze(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        # Until then, PostgreSQL takes half of the rows to be dirty.
        schema_editor.execute("ANALYZE orders_order (is_dirty)")
        schema_editor.execute("ANALYZE orders_customer (is_dirty)")


class Migration(migrations.Migration):
    # CREATE INDEX CONCURRENTLY refuses to run in a transaction.
    atomic = False

    dependencies = [("orders", "0025_is_dirty")]

    operations = [
        migrations.RunPython(mark, migrations.RunPython.noop),
        AddIndexWhileInUse(
            model_name="order",
            index=models.Index(
                condition=Q(is_dirty=True),
                fields=["store", "fetch_after", "id"],
                name="orders_dirty_of_store",
            ),
        ),
        AddIndexWhileInUse(
            model_name="customer",
            index=models.Index(
                condition=Q(is_dirty=True),
                fields=["store", "fetch_after", "id"],
                name="orders_customer_dirty",
            ),
        ),
        RemoveIndexWhileInUse(model_name="order", name="orders_dirty_by_store"),
        RemoveIndexWhileInUse(model_name="customer", name="orders_customer_dirty_at"),
        migrations.RunPython(analyze, migrations.RunPython.noop),
    ]
