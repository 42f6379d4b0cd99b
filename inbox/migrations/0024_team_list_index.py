"""The index of a team's list, built while messages keep arriving."""

from django.db import migrations, models

from core.database.index_migrations import AddIndexWhileInUse


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
