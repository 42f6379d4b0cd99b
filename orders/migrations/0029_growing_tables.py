"""Indexes of what is shown, due or held, so that nothing reads what is merely stored."""

from django.db import migrations, models

from core.database.index_migrations import AddIndexWhileInUse


class Migration(migrations.Migration):
    # CREATE INDEX CONCURRENTLY refuses to run in a transaction.
    atomic = False

    dependencies = [("orders", "0028_retention_position")]

    operations = [
        AddIndexWhileInUse(
            model_name="checkout",
            index=models.Index(
                condition=models.Q(("email", ""), ("name", ""), ("phone", ""), _negated=True),
                fields=["active_at", "id"],
                name="orders_checkout_age",
            ),
        ),
        AddIndexWhileInUse(
            model_name="customer",
            index=models.Index(
                condition=models.Q(
                    ("email", ""),
                    ("locale", ""),
                    ("name", ""),
                    ("note", ""),
                    ("phone", ""),
                    ("tags", []),
                    _negated=True,
                ),
                fields=["shop_updated_at", "id"],
                name="orders_customer_age",
            ),
        ),
        AddIndexWhileInUse(
            model_name="order",
            index=models.Index(fields=["-placed_at", "-id"], name="orders_newest"),
        ),
        AddIndexWhileInUse(
            model_name="order",
            index=models.Index(
                condition=models.Q(
                    ("cancelled_at__isnull", False),
                    ("net_payment__gt", 0),
                    models.Q(
                        ("kept", None),
                        ("kept__lt", models.F("net_payment")),
                        ("kept__gt", models.F("net_payment")),
                        _connector="OR",
                    ),
                    ("deleted_at", None),
                ),
                fields=["cancelled_at", "id"],
                name="orders_money_held",
            ),
        ),
        AddIndexWhileInUse(
            model_name="order",
            index=models.Index(
                condition=models.Q(("masked_at", None), models.Q(("document", ""), _negated=True)),
                fields=["shop_updated_at", "id"],
                name="orders_unmasked_age",
            ),
        ),
        AddIndexWhileInUse(
            model_name="orderaction",
            index=models.Index(fields=["-requested_at", "-id"], name="orders_action_newest"),
        ),
        AddIndexWhileInUse(
            model_name="orderaction",
            index=models.Index(fields=["sent_at"], name="orders_action_sent"),
        ),
        AddIndexWhileInUse(
            model_name="orderaction",
            index=models.Index(fields=["step_last_sent_at"], name="orders_action_last_sent"),
        ),
        AddIndexWhileInUse(
            model_name="orderaction",
            index=models.Index(fields=["settled_at"], name="orders_action_settled"),
        ),
        AddIndexWhileInUse(
            model_name="orderevent",
            index=models.Index(fields=["-occurred_at", "-id"], name="orders_event_newest"),
        ),
        AddIndexWhileInUse(
            model_name="orderevent",
            index=models.Index(
                condition=models.Q(("kind__in", ["refunded", "canceled"])),
                fields=["occurred_at"],
                name="orders_event_money",
            ),
        ),
        AddIndexWhileInUse(
            model_name="orderrefund",
            index=models.Index(
                condition=models.Q(("failed__gt", 0)),
                fields=["refunded_at", "id"],
                name="orders_refund_failed",
            ),
        ),
    ]
