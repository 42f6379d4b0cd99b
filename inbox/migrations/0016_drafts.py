import uuid

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("inbox", "0015_live_events"),
    ]

    operations = [
        migrations.AddField(
            model_name="draft",
            name="client_id",
            field=models.UUIDField(
                default=uuid.uuid4, help_text="The composer's id, which its message will carry."
            ),
        ),
        migrations.AddField(
            model_name="draft",
            name="version",
            field=models.UUIDField(
                default=uuid.uuid4, help_text="The browser's id of the save that wrote this."
            ),
        ),
        migrations.AlterField(
            model_name="draft",
            name="text",
            field=models.TextField(help_text="Empty: it was cleared, and older saves stay out."),
        ),
    ]
