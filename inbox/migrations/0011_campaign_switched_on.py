from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("inbox", "0010_seam"),
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
