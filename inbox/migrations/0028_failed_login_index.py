"""Failed logins are found by name, through an index that is built while people log in."""

from django.db import migrations, models

from core.database.index_migrations import without_lock_timeout


class AddUniqueWhileInUse(migrations.AddConstraint):
    """Add a unique constraint without locking its table for long, where the database can.

    An interrupted run leaves the constraint or an invalid index of that name behind, so both are
    removed first and the migration can simply be run again. Needs a migration that isn't atomic.
    """

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        options = to_state.apps.get_model(app_label, self.model_name)._meta
        quote = schema_editor.quote_name
        table, name = quote(options.db_table), quote(self.constraint.name)
        columns = ", ".join(
            quote(options.get_field(field).column) for field in self.constraint.fields
        )
        schema_editor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
        # Both wait for every open transaction.
        with without_lock_timeout(schema_editor):
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            schema_editor.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} ({columns})")
        schema_editor.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}"
        )


class Migration(migrations.Migration):
    # CREATE INDEX CONCURRENTLY refuses to run in a transaction.
    atomic = False

    dependencies = [("inbox", "0027_conversations_without_team")]

    operations = [
        AddUniqueWhileInUse(
            model_name="failedlogin",
            constraint=models.UniqueConstraint(
                fields=("name_digest", "place", "hour"), name="inbox_failed_login_once"
            ),
        ),
    ]
