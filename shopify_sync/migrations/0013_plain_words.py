"""Labels, choices and help texts only: SQL has nothing to do."""

from django.db import migrations, models

import core.encryption
from core.database.label_migrations import LabelsOnly


class Migration(migrations.Migration):
    dependencies = [
        ("shopify_sync", "0012_customer_pages"),
    ]

    changes = [
        migrations.AlterField(
            model_name="backfill",
            name="bytes_reached",
            field=models.PositiveBigIntegerField(
                default=0,
                help_text="The most orders imported from any file so far; a higher count is progress.",
            ),
        ),
        migrations.AlterField(
            model_name="backfill",
            name="orders_skipped",
            field=models.PositiveIntegerField(
                default=0,
                help_text="Lines of the file that couldn't be imported; their orders are read one by one.",
            ),
        ),
        migrations.AlterField(
            model_name="backfill",
            name="since",
            field=models.DateTimeField(help_text="Orders changed after this time are imported."),
        ),
        migrations.AlterField(
            model_name="backfill",
            name="state",
            field=models.CharField(
                choices=[
                    ("asking", "Requesting"),
                    ("preparing", "Shopify is preparing the file"),
                    ("importing", "Importing"),
                    ("done", "Done"),
                    ("failed", "Failed"),
                ],
                default="asking",
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="backfill",
            name="tries",
            field=models.PositiveSmallIntegerField(
                default=0, help_text="Failures in a row without progress in between."
            ),
        ),
        migrations.AlterField(
            model_name="comparison",
            name="differing",
            field=models.PositiveIntegerField(
                default=0, help_text="Orders whose last change hadn't been read."
            ),
        ),
        migrations.AlterField(
            model_name="comparison",
            name="markers_twice",
            field=models.PositiveIntegerField(
                default=0, help_text="Actions whose marker appears on more than one refund."
            ),
        ),
        migrations.AlterField(
            model_name="comparison",
            name="missing",
            field=models.PositiveIntegerField(
                default=0, help_text="Orders in Shopify that were missing here."
            ),
        ),
        migrations.AlterField(
            model_name="comparison",
            name="vanished",
            field=models.PositiveIntegerField(
                default=0, help_text="Orders stored here that Shopify no longer lists."
            ),
        ),
        migrations.AlterField(
            model_name="shopconnection",
            name="api_secret",
            field=core.encryption.EncryptedTextField(
                help_text="The app's client secret, shpss_…, which signs webhooks.",
                verbose_name="Client secret",
            ),
        ),
        migrations.AlterField(
            model_name="shopconnection",
            name="previous_api_secret",
            field=core.encryption.EncryptedTextField(
                blank=True,
                default="",
                help_text="Still accepted while the secret is being rotated.",
                verbose_name="Previous client secret",
            ),
        ),
        migrations.AlterField(
            model_name="shopconnection",
            name="sees_customer_pages",
            field=models.BooleanField(
                default=False,
                editable=False,
                help_text="Shopify gives this app customers' order status pages (protected data, level 2).",
            ),
        ),
        migrations.AlterField(
            model_name="synccursor",
            name="drift_found",
            field=models.PositiveIntegerField(
                default=0, help_text="Changed orders that no webhook had reported."
            ),
        ),
        migrations.AlterField(
            model_name="synccursor",
            name="reader_lease_until",
            field=models.DateTimeField(
                help_text="Lets one worker at a time read the store's waiting orders.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="webhookevent",
            name="body_sha256",
            field=models.CharField(
                blank=True,
                help_text="Kept when the body is deleted after its retention period.",
                max_length=64,
            ),
        ),
        migrations.AlterField(
            model_name="webhookevent",
            name="customer_number",
            field=models.BigIntegerField(
                help_text="Shopify's ID of the customer it was about, if it named no order.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="webhookevent",
            name="order_id",
            field=models.BigIntegerField(
                help_text="The ID here of the order it was about, by which redaction finds it.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="webhooktally",
            name="malformed",
            field=models.PositiveIntegerField(
                default=0, help_text="400 or 413: malformed or too large."
            ),
        ),
        migrations.AlterField(
            model_name="webhooktally",
            name="unauthorized",
            field=models.PositiveIntegerField(
                default=0, help_text="401: the shop's signature was missing or wrong."
            ),
        ),
        migrations.AlterField(
            model_name="webhooktally",
            name="unavailable",
            field=models.PositiveIntegerField(
                default=0, help_text="503: unavailable; Shopify sends it again."
            ),
        ),
    ]
    operations = [LabelsOnly(state_operations=changes)]
