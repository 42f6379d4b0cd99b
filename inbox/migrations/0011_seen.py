import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("inbox", "0010_seam"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="conversation",
            name="assigned_at",
            field=models.DateTimeField(
                blank=True, editable=False, help_text="When it last changed hands.", null=True
            ),
        ),
        migrations.AddField(
            model_name="conversation",
            name="state_changed_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="conversation",
            name="state_changed_by",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                help_text="Nobody: it opened by itself.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="conversation",
            name="last_press",
            field=models.UUIDField(
                blank=True,
                editable=False,
                help_text="The browser's id of the press that last changed it: a repeat finds it.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="readmark",
            name="read_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now,
                help_text="When they were last shown something new of it.",
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                condition=models.Q(("kind", "inbound")),
                fields=["conversation", "id"],
                name="inbox_inbound",
            ),
        ),
    ]
