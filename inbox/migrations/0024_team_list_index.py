"""The index of a team's list, built while messages keep arriving."""

from django.db import migrations, models


class AddIndexWhileInUse(migrations.AddIndex):
    """Build an index without locking its table, where the database can.

    A build that was interrupted leaves an invalid index of that name behind, so it is removed first
    and the migration can simply be run again. Needs a migration that isn't atomic.
    """

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        name = schema_editor.quote_name(self.index.name)
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        schema_editor.add_index(model, self.index, concurrently=True)


class Migration(migrations.Migration):
    # CREATE INDEX CONCURRENTLY refuses to run in a transaction.
    atomic = False

    dependencies = [("inbox", "0023_hash_api_tokens")]

    operations = [
        AddIndexWhileInUse(
            model_name="conversation",
            index=models.Index(
                condition=models.Q(("team__isnull", False)),
                fields=["team", "state", "-last_message_at", "-id"],
                name="inbox_list_team",
            ),
        ),
    ]
