from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("inbox", "0011_seen"),
    ]

    operations = [
        migrations.AddField(
            model_name="campaign",
            name="switched_on_at",
            field=models.DateTimeField(
                editable=False, help_text="Empty: it was on from the beginning.", null=True
            ),
        ),
    ]
