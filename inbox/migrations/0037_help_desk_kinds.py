from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("inbox", "0036_what_tokens_read"),
    ]

    operations = [
        migrations.AlterField(
            model_name="helpdeskframe",
            name="kind",
            field=models.CharField(
                choices=[
                    (
                        "chatwoot",
                        "Chatwoot, Zendesk, Freshdesk or Help Scout (agents log in here)",
                    ),
                    ("generic", "FreeScout or your own server (signed URL)"),
                ],
                max_length=10,
            ),
        ),
    ]
