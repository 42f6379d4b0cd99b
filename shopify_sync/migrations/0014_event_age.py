"""Indexes of what is shown, due or held, so that nothing reads what is merely stored."""

from django.db import migrations, models

from core.database.index_migrations import AddIndexWhileInUse


class Migration(migrations.Migration):
    # CREATE INDEX CONCURRENTLY refuses to run in a transaction.
    atomic = False

    dependencies = [("shopify_sync", "0013_plain_words")]

    operations = [
        AddIndexWhileInUse(
            model_name="webhookevent",
            index=models.Index(
                condition=models.Q(
                    models.Q(("state", "waiting"), _negated=True),
                    models.Q(("body", b""), ("error", ""), _negated=True),
                ),
                fields=["received_at", "id"],
                name="shopify_event_age",
            ),
        ),
    ]
