"""Refunds by what became of each transaction, test orders apart, limits by when money was sent."""

import json
from decimal import Decimal

from django.conf import settings
from django.db import migrations, models

# Frozen here, as orders.statuses.money_moved decides it.
_FAILED = {"FAILURE", "ERROR"}


def mark_test_orders(apps, schema_editor):
    """In the text of a JSON value a quote has a backslash before it: no note looks like this."""
    orders = apps.get_model("orders", "Order").objects
    orders.filter(document__contains='"is_test":true').update(is_test=True)


def divide_refunds(apps, schema_editor):
    """From the stored documents. What was never read completely is divided at its next read;
    until then its whole sum counts as moved, as it does where no transaction is listed."""
    Order, Refund = (apps.get_model("orders", name) for name in ("Order", "OrderRefund"))
    pks = Refund.objects.order_by("order_id").values_list("order_id", flat=True).distinct()
    for order_id in list(pks):
        document = Order.objects.values_list("document", flat=True).get(pk=order_id)
        said = {each["gid"]: each for each in json.loads(document or "{}").get("refunds", [])}
        rows = list(Refund.objects.filter(order_id=order_id))
        for row in rows:
            parts = said.get(row.gid, {}).get("transactions", [])
            row.moved, row.waiting, row.failed = _divided(row.amount, parts, "presentment")
            row.moved_shop, row.waiting_shop, _failed = _divided(row.amount_shop, parts, "shop")
        Refund.objects.bulk_update(
            rows, ["moved", "moved_shop", "waiting", "waiting_shop", "failed"]
        )


def _divided(total, transactions, side):
    moved = waiting = failed = Decimal(0)
    for each in transactions:
        amount = Decimal(each["amount"][side]["amount"])
        if each["status"] == "SUCCESS":
            moved += amount
        elif each["status"] in _FAILED:
            failed += amount
        else:
            waiting += amount
    return moved + max(Decimal(0), total - moved - waiting - failed), waiting, failed


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0013_sweeps"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="orderaction",
            name="orders_action_spent",
        ),
        migrations.AddField(
            model_name="order",
            name="is_test",
            field=models.BooleanField(
                default=False, help_text="Shopify's test order: its sums are nobody's money."
            ),
        ),
        migrations.AddField(
            model_name="orderrefund",
            name="failed",
            field=models.DecimalField(
                decimal_places=4,
                default=0,
                help_text="The payment provider did not pay it.",
                max_digits=19,
            ),
        ),
        migrations.AddField(
            model_name="orderrefund",
            name="moved",
            field=models.DecimalField(
                decimal_places=4, default=0, help_text="Is with the customer.", max_digits=19
            ),
        ),
        migrations.AddField(
            model_name="orderrefund",
            name="moved_shop",
            field=models.DecimalField(decimal_places=4, default=0, max_digits=19),
        ),
        migrations.AddField(
            model_name="orderrefund",
            name="waiting",
            field=models.DecimalField(
                decimal_places=4,
                default=0,
                help_text="The payment provider has not said yet.",
                max_digits=19,
            ),
        ),
        migrations.AddField(
            model_name="orderrefund",
            name="waiting_shop",
            field=models.DecimalField(decimal_places=4, default=0, max_digits=19),
        ),
        migrations.AlterField(
            model_name="orderrefund",
            name="amount",
            field=models.DecimalField(
                decimal_places=4, help_text="As Shopify booked it.", max_digits=19
            ),
        ),
        migrations.AlterField(
            model_name="policy",
            name="cancel",
            field=models.CharField(
                choices=[
                    ("allow", "Allowed"),
                    ("note", "Allowed with a staff note"),
                    ("approval", "Needs approval"),
                    ("deny", "Not allowed"),
                ],
                default="allow",
                max_length=10,
                verbose_name="canceling",
            ),
        ),
        migrations.AddIndex(
            model_name="orderaction",
            index=models.Index(fields=["requested_by", "sent_at"], name="orders_action_spent"),
        ),
        migrations.AddIndex(
            model_name="orderaction",
            index=models.Index(
                fields=["requested_by", "step_last_sent_at"], name="orders_action_last_spent"
            ),
        ),
        migrations.RunPython(mark_test_orders, migrations.RunPython.noop),
        migrations.RunPython(divide_refunds, migrations.RunPython.noop),
    ]
