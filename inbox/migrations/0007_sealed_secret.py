from django.db import migrations

import core.encryption


class Migration(migrations.Migration):
    dependencies = [("inbox", "0006_campaign_events")]

    # The same text in the same column: only the program knows it as sealed now.
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="channel",
                    name="sealed_secret",
                    field=core.encryption.SealedTextField(blank=True, editable=False),
                )
            ]
        )
    ]
