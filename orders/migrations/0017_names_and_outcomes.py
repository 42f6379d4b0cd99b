"""Orders by their names as people write them, and what ended each action.

Of what ended before, the outcome stays empty: its state says what is certain, and why it ended
was not written down.
"""

import re
import unicodedata
from importlib import import_module

from django.conf import settings
from django.db import migrations, models

from orders.migrations import _action_guard

_DIGITS = re.compile(r"[0-9]+")
_AT_ONCE = 1000


def drop_guard(apps, schema_editor):
    _action_guard.drop(schema_editor)


def install_guard(apps, schema_editor):
    current = import_module("orders.migrations.0012_engine_truth")
    _action_guard.install(schema_editor, moves=current.MOVES, settled=current.SETTLED)


def fill_names(apps, schema_editor):
    """As orders.models.order_names reads them, frozen here."""
    orders = apps.get_model("orders", "Order").objects
    last = 0
    while rows := list(orders.filter(pk__gt=last).order_by("pk").only("name")[:_AT_ONCE]):
        for row in rows:
            plain = unicodedata.normalize("NFKC", row.name).casefold()
            row.name_key = "".join(plain.split()).lstrip("#")[:100]
            longest = max(_DIGITS.findall(row.name_key), key=len, default="")
            row.number = (longest.lstrip("0") or longest[:1])[:20]
        orders.bulk_update(rows, ["name_key", "number"])
        last = rows[-1].pk


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0016_senders"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunPython(drop_guard, install_guard),
        migrations.RemoveIndex(
            model_name="order",
            name="orders_by_name",
        ),
        migrations.AddField(
            model_name="order",
            name="name_key",
            field=models.CharField(blank=True, editable=False, max_length=100),
        ),
        migrations.AddField(
            model_name="order",
            name="number",
            field=models.CharField(blank=True, editable=False, max_length=20),
        ),
        migrations.AddField(
            model_name="orderaction",
            name="outcome",
            field=models.CharField(
                blank=True,
                choices=[
                    ("done", "Done"),
                    ("done_by_hand", "Done, as a supervisor found"),
                    ("awaiting_bank", "Waiting for the bank"),
                    ("failed_at_bank", "Failed at the bank"),
                    ("partly_failed_at_bank", "Failed in part at the bank"),
                    ("refused_by_shopify", "Refused by Shopify"),
                    ("refused_by_rules", "Stopped by our rules"),
                    ("stale", "The order changed meanwhile"),
                    ("order_gone", "Shopify no longer shows the order"),
                    ("not_booked", "Shopify booked no refund"),
                    ("not_done_by_hand", "Not carried out, as a supervisor found"),
                    ("withdrawn", "Withdrawn"),
                    ("uninstalled", "Not sent: the app was uninstalled"),
                    ("erased", "Not sent: the customer’s data had to be deleted"),
                    ("declined", "Declined"),
                    ("not_approved", "Not approved in time"),
                    ("not_sent", "Not sent within a day"),
                ],
                help_text="What it came to, and why.",
                max_length=30,
            ),
        ),
        migrations.AddField(
            model_name="store",
            name="order_prefix",
            field=models.CharField(
                blank=True,
                default="#",
                editable=False,
                help_text="Stands before the number in an order’s name. Filled in from Shopify.",
                max_length=50,
            ),
        ),
        migrations.AddField(
            model_name="store",
            name="order_suffix",
            field=models.CharField(
                blank=True,
                editable=False,
                help_text="Stands after the number in an order’s name. Filled in from Shopify.",
                max_length=50,
            ),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(fields=["name_key"], name="orders_by_name_key"),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(fields=["number"], name="orders_by_number"),
        ),
        migrations.AddConstraint(
            model_name="orderaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "outcome__in",
                        [
                            "",
                            "done",
                            "done_by_hand",
                            "awaiting_bank",
                            "failed_at_bank",
                            "partly_failed_at_bank",
                            "refused_by_shopify",
                            "refused_by_rules",
                            "stale",
                            "order_gone",
                            "not_booked",
                            "not_done_by_hand",
                            "withdrawn",
                            "uninstalled",
                            "erased",
                            "declined",
                            "not_approved",
                            "not_sent",
                        ],
                    ),
                    models.Q(
                        ("outcome", ""),
                        (
                            "state__in",
                            (
                                "succeeded",
                                "partial",
                                "rejected",
                                "reversed",
                                "withdrawn",
                                "declined",
                                "expired",
                                "awaiting_bank",
                            ),
                        ),
                        _connector="OR",
                    ),
                ),
                name="orders_action_outcome_known",
            ),
        ),
        migrations.RunPython(fill_names, migrations.RunPython.noop),
        migrations.RunPython(install_guard, drop_guard),
    ]
