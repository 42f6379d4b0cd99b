"""Whether an order or customer is dirty, as a column of its own.

PostgreSQL takes a condition on two columns (dirty_seq > clean_seq) to match a third of any table,
and reads all of it. Of a boolean it knows how many rows are true.

A generated column would have to be stored, and adding one makes PostgreSQL write the whole table
again while nobody can use it. A plain column with a default is added at once, and a trigger keeps
it: it also sees the writes of processes that still run the previous version.
"""

from django.db import migrations, models
from django.db.models import F, Q

TABLES = ("orders_order", "orders_customer")


class AddKeptColumn(migrations.AddField):
    """Add a generated column, on PostgreSQL as a plain one that a trigger keeps."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        table = to_state.apps.get_model(app_label, self.model_name)._meta.db_table
        schema_editor.execute(
            f"ALTER TABLE {table} ADD COLUMN is_dirty boolean NOT NULL DEFAULT false"
        )
        schema_editor.execute(
            f"CREATE TRIGGER {table}_is_dirty BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW "
            "WHEN (NEW.is_dirty <> (NEW.dirty_seq > NEW.clean_seq)) "
            "EXECUTE FUNCTION orders_keep_is_dirty()"
        )

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == "postgresql":
            table = from_state.apps.get_model(app_label, self.model_name)._meta.db_table
            schema_editor.execute(f"DROP TRIGGER {table}_is_dirty ON {table}")
        super().database_backwards(app_label, schema_editor, from_state, to_state)


def make_function(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "CREATE OR REPLACE FUNCTION orders_keep_is_dirty() RETURNS trigger LANGUAGE plpgsql "
            "AS $$ BEGIN NEW.is_dirty := NEW.dirty_seq > NEW.clean_seq; RETURN NEW; END $$",
            params=None,
        )


def drop_function(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION orders_keep_is_dirty()")


def is_dirty():
    return models.GeneratedField(
        expression=Q(dirty_seq__gt=F("clean_seq")),
        output_field=models.BooleanField(),
        db_persist=True,
    )


class Migration(migrations.Migration):
    dependencies = [("orders", "0024_sign_above")]

    operations = [
        migrations.RunPython(make_function, drop_function),
        AddKeptColumn(model_name="order", name="is_dirty", field=is_dirty()),
        AddKeptColumn(model_name="customer", name="is_dirty", field=is_dirty()),
    ]
