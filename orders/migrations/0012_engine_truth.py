"""What an action needs to remember so that it never contradicts what it already did."""

from importlib import import_module

from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Coalesce

from orders.migrations import _action_guard

# Frozen here; tests/orders/database/test_database.py holds it against orders.models.TRANSITIONS.
_PROVEN = ["succeeded", "awaiting_bank", "partial", "reversed"]
MOVES = {
    "awaiting_approval": ["queued", "withdrawn", "declined", "expired"],
    "queued": ["sending", "withdrawn", "expired", *_PROVEN],
    "sending": [
        "queued",
        "pending",
        "unknown",
        "blocked",
        "needs_human",
        "rejected",
        "expired",
        *_PROVEN,
    ],
    "pending": ["sending", "needs_human", *_PROVEN],
    "unknown": ["sending", "needs_human", *_PROVEN],
    "blocked": ["sending", "withdrawn", "expired", "needs_human", *_PROVEN],
    "needs_human": ["rejected", *_PROVEN],
    "awaiting_bank": ["succeeded", "partial", "reversed"],
    "succeeded": ["reversed", "partial"],
    "partial": ["succeeded", "awaiting_bank"],
}
SETTLED = [
    "succeeded",
    "awaiting_bank",
    "partial",
    "rejected",
    "reversed",
    "withdrawn",
    "declined",
    "expired",
]


def drop_guard(apps, schema_editor):
    _action_guard.drop(schema_editor)


def install_guard(apps, schema_editor):
    _action_guard.install(schema_editor, moves=MOVES, settled=SETTLED)


def install_old_guard(apps, schema_editor):
    old = import_module("orders.migrations.0003_triggers")
    _action_guard.install(schema_editor, moves=old.MOVES, settled=old.SETTLED)


def believe_old_refusals(apps, schema_editor):
    """Before, "refused" was reached with this mark standing; it was claimed not to have happened."""
    actions = apps.get_model("orders", "OrderAction").objects
    actions.filter(state="rejected", maybe_applied=True).update(maybe_applied=False)


def remember_sends(apps, schema_editor):
    """Spending limits count from the first byte; of earlier actions the request is the nearest."""
    actions = apps.get_model("orders", "OrderAction").objects
    actions.filter(attempts__gt=0, sent_at=None).update(
        sent_at=Coalesce("step_first_sent_at", "requested_at")
    )


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0011_sealed_scope"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunPython(drop_guard, install_old_guard),
        migrations.RunPython(believe_old_refusals, migrations.RunPython.noop),
        migrations.RemoveConstraint(
            model_name="orderaction",
            name="orders_success_has_evidence",
        ),
        migrations.RemoveConstraint(
            model_name="orderaction",
            name="orders_action_state_known",
        ),
        migrations.RemoveConstraint(
            model_name="orderaction",
            name="orders_unsent_was_not_sent",
        ),
        migrations.RemoveConstraint(
            model_name="orderaction",
            name="orders_settled_has_time",
        ),
        migrations.AddField(
            model_name="order",
            name="stale_since",
            field=models.DateTimeField(
                help_text="First of the reads in a row that were older than what is stored.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="orderaction",
            name="accepted_steps",
            field=models.PositiveSmallIntegerField(
                default=0,
                help_text="So many leading steps were accepted, or seen done: never sent again.",
            ),
        ),
        migrations.AddField(
            model_name="orderaction",
            name="sent_at",
            field=models.DateTimeField(
                help_text="First byte to Shopify; spending limits count from here.", null=True
            ),
        ),
        migrations.AddField(
            model_name="orderaction",
            name="step_last_sent_at",
            field=models.DateTimeField(
                help_text="Last send of that step; a late commit counts from here.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="fetch_failures",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="attempts",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="expires_at",
            field=models.DateTimeField(
                help_text="What was not approved, or not sent, by then ends here.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="state",
            field=models.CharField(
                choices=[
                    ("awaiting_approval", "Waits for approval"),
                    ("queued", "Starting"),
                    ("sending", "Sending to Shopify"),
                    ("pending", "Shopify is working on it"),
                    ("unknown", "Checking with Shopify"),
                    ("blocked", "Waiting for an administrator"),
                    ("needs_human", "Compare with Shopify"),
                    ("succeeded", "Done"),
                    ("partial", "Canceled, refund failed"),
                    ("rejected", "Not carried out"),
                    ("reversed", "Refund failed at the bank"),
                    ("withdrawn", "Withdrawn"),
                    ("declined", "Declined"),
                    ("expired", "Expired"),
                    ("awaiting_bank", "Waiting for the bank"),
                ],
                default="queued",
                max_length=20,
            ),
        ),
        migrations.AddConstraint(
            model_name="orderaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "state__in",
                        [
                            "awaiting_approval",
                            "queued",
                            "sending",
                            "pending",
                            "unknown",
                            "blocked",
                            "needs_human",
                            "succeeded",
                            "partial",
                            "rejected",
                            "reversed",
                            "withdrawn",
                            "declined",
                            "expired",
                            "awaiting_bank",
                        ],
                    )
                ),
                name="orders_action_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="orderaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state__in", ("succeeded", "awaiting_bank")), _negated=True),
                    ("evidence_at__isnull", False),
                    _connector="OR",
                ),
                name="orders_success_has_evidence",
            ),
        ),
        migrations.AddConstraint(
            model_name="orderaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("state__in", ("rejected", "withdrawn", "declined", "expired")),
                        _negated=True,
                    ),
                    ("maybe_applied", False),
                    _connector="OR",
                ),
                name="orders_unsent_was_not_sent",
            ),
        ),
        migrations.AddConstraint(
            model_name="orderaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("settled_at", None),
                        (
                            "state__in",
                            (
                                "awaiting_approval",
                                "queued",
                                "sending",
                                "pending",
                                "unknown",
                                "blocked",
                                "needs_human",
                            ),
                        ),
                    ),
                    models.Q(
                        ("settled_at__isnull", False),
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
                    ),
                    _connector="OR",
                ),
                name="orders_settled_has_time",
            ),
        ),
        migrations.RunPython(remember_sends, migrations.RunPython.noop),
        migrations.RunPython(install_guard, drop_guard),
    ]
