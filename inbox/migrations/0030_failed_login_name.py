"""The admin calls it a failed login, in one word."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("inbox", "0029_failed_login_once")]

    operations = [
        migrations.AlterModelOptions(
            name="failedlogin",
            options={"ordering": ["-hour", "-count"], "verbose_name": "failed login"},
        ),
    ]
