"""Who opened which customer; administrators and auditors may look at it."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def let_them_look(apps, schema_editor):
    """The roles exist already, and permissions are made only after `migrate`: make this one now."""
    roles = apps.get_model("auth", "Group").objects.filter(name__in=("admins", "auditors"))
    if not roles.exists():
        return
    kind, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="inbox", model="customerview"
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=kind,
        codename="view_customerview",
        defaults={"name": "Can view customer view"},
    )
    for role in roles:
        role.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [
        ("inbox", "0019_signing_in"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="CustomerView",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("contact", "Contact"), ("order", "Order")],
                        help_text="What the number refers to.",
                        max_length=10,
                    ),
                ),
                (
                    "number",
                    models.BigIntegerField(help_text="The ID of the contact or of the order."),
                ),
                ("hour", models.DateTimeField(help_text="The beginning of the hour, in UTC.")),
                (
                    "viewed_at",
                    models.DateTimeField(
                        auto_now_add=True, help_text="The first view in that hour."
                    ),
                ),
                (
                    "viewer",
                    models.ForeignKey(
                        help_text="Who opened it.",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
                "indexes": [models.Index(fields=["hour"], name="inbox_view_hour")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("kind", "number", "viewer", "hour"), name="inbox_one_view_an_hour"
                    )
                ],
            },
        ),
        migrations.RunPython(let_them_look, migrations.RunPython.noop),
    ]
