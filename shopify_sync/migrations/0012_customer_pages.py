"""Whether an app may read the pages of its customers."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("shopify_sync", "0011_sync_in_turns"),
    ]

    operations = [
        migrations.AddField(
            model_name="shopconnection",
            name="sees_customer_pages",
            field=models.BooleanField(
                default=False,
                editable=False,
                help_text="Shopify gives this app the pages of its customers (protected data, level 2).",
            ),
        ),
    ]
