import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0009_customer_fields"),
    ]

    operations = [
        migrations.CreateModel(
            name="Checkout",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("gid", models.CharField(max_length=100)),
                ("started_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "active_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now,
                        help_text="When something last happened to it.",
                    ),
                ),
                (
                    "completed_at",
                    models.DateTimeField(help_text="When its order was placed.", null=True),
                ),
                ("deleted_at", models.DateTimeField(null=True)),
                (
                    "read_at",
                    models.DateTimeField(
                        help_text="When Shopify was last asked about it.", null=True
                    ),
                ),
                (
                    "next_read_at",
                    models.DateTimeField(help_text="A reader's lease, or its back-off.", null=True),
                ),
                ("customer_gid", models.CharField(blank=True, max_length=100)),
                ("name", models.CharField(blank=True, max_length=255)),
                ("email", models.CharField(blank=True, max_length=255)),
                ("phone", models.CharField(blank=True, max_length=40)),
                (
                    "store",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="checkouts",
                        to="orders.store",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("completed_at", None), ("deleted_at", None)),
                        fields=["active_at"],
                        name="orders_checkout_open",
                    ),
                    models.Index(
                        condition=models.Q(("read_at", None)),
                        fields=["id"],
                        name="orders_checkout_unread",
                    ),
                    models.Index(
                        condition=models.Q(("customer_gid", ""), _negated=True),
                        fields=["store", "customer_gid", "started_at"],
                        name="orders_checkout_of_customer",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("store", "gid"), name="orders_one_checkout_per_gid"
                    )
                ],
            },
        ),
    ]
