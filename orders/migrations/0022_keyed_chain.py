"""Seals get the format and the key they were made with; the daily scan remembers its place."""

from django.db import migrations, models

from orders.migrations import _append_only


def drop(apps, schema_editor):
    _append_only.drop(schema_editor, "orders_auditseal")


def install(apps, schema_editor):
    _append_only.install(schema_editor, "orders_auditseal")


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0021_plain_words"),
    ]

    operations = [
        migrations.RunPython(drop, install),
        migrations.CreateModel(
            name="AuditScan",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("next_id", models.BigIntegerField(default=1)),
            ],
        ),
        migrations.AddField(
            model_name="auditseal",
            name="key_id",
            field=models.CharField(
                blank=True,
                db_default="",
                help_text="Which key; the key itself is in the settings.",
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="auditseal",
            name="version",
            field=models.PositiveSmallIntegerField(
                db_default=1,
                default=1,
                help_text="The format: 1 is hashed without a key, 2 with one.",
            ),
        ),
        migrations.AlterField(
            model_name="auditentry",
            name="kind",
            field=models.CharField(
                choices=[
                    ("action", "Action updated"),
                    ("approval", "Approval given"),
                    ("settled_by_hand", "Resolved manually"),
                    ("money_kept", "Payment kept on purpose"),
                    ("log_in", "Logged in"),
                    ("log_out", "Logged out"),
                    ("log_in_failed", "Login failed"),
                    ("permissions", "Permissions changed"),
                    ("policy", "Policy changed"),
                    ("store", "Store changed"),
                    ("export", "Data exported"),
                    ("privacy", "Privacy request"),
                    ("identity", "Identity confirmed without proof"),
                    ("restore", "Backup restored"),
                ],
                max_length=20,
            ),
        ),
        migrations.RunPython(install, drop),
    ]
