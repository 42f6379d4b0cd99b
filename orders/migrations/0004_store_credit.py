from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0003_triggers"),
    ]

    operations = [
        migrations.AddField(
            model_name="store",
            name="allow_store_credit",
            field=models.BooleanField(
                default=False,
                help_text="On: agents may give money back as store credit instead of to the "
                "original payment. Switch store credit on in Shopify first; it needs Shopify’s "
                "new customer accounts. Orders without a customer are always refunded to the "
                "original payment.",
                verbose_name="Allow refunds as store credit",
            ),
        ),
    ]
