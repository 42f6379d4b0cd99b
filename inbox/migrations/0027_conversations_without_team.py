"""The index that counts what no one sees, built while messages keep arriving."""

from django.db import migrations, models

from core.database.index_migrations import AddIndexWhileInUse


class Migration(migrations.Migration):
    # CREATE INDEX CONCURRENTLY refuses to run in a transaction.
    atomic = False

    dependencies = [("inbox", "0026_conversations_moved")]

    operations = [
        AddIndexWhileInUse(
            model_name="conversation",
            index=models.Index(
                condition=models.Q(("team__isnull", True)),
                fields=["channel"],
                name="inbox_without_team",
            ),
        ),
    ]
