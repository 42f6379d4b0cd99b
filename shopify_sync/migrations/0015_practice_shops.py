"""Which connections are of practice shops; every earlier one is real."""

from django.db import migrations, models

import shopify_sync.models.connections


class Migration(migrations.Migration):
    dependencies = [("shopify_sync", "0014_event_age")]

    operations = [
        migrations.AddField(
            model_name="shopconnection",
            name="is_practice",
            field=models.BooleanField(
                db_default=False,
                default=shopify_sync.models.connections.is_staging,
                editable=False,
            ),
        ),
    ]
