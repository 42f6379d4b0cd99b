"""Indexes of what is shown, due or held, so that nothing reads what is merely stored."""

from django.db import migrations, models

from core.database.index_migrations import AddIndexWhileInUse


class Migration(migrations.Migration):
    # CREATE INDEX CONCURRENTLY refuses to run in a transaction.
    atomic = False

    dependencies = [("inbox", "0031_notice_choices")]

    operations = [
        AddIndexWhileInUse(
            model_name="campaignmessage",
            index=models.Index(
                condition=models.Q(
                    ("body", ""), ("error", ""), ("recipient", ""), ("subject", ""), _negated=True
                ),
                fields=["created_at", "id"],
                name="inbox_campaign_age",
            ),
        ),
        AddIndexWhileInUse(
            model_name="contact",
            index=models.Index(fields=["created_at", "id"], name="inbox_contact_age"),
        ),
        AddIndexWhileInUse(
            model_name="conversation",
            index=models.Index(fields=["-last_message_at", "-id"], name="inbox_newest"),
        ),
        AddIndexWhileInUse(
            model_name="identity",
            index=models.Index(
                fields=["value"], opclasses=["varchar_pattern_ops"], name="inbox_identity_by_value"
            ),
        ),
        AddIndexWhileInUse(
            model_name="message",
            index=models.Index(fields=["created_at", "id"], name="inbox_message_age"),
        ),
    ]
