"""The constraint of failed logins that began with the hour is replaced by now."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("inbox", "0028_failed_login_index")]

    operations = [
        migrations.RemoveConstraint(model_name="failedlogin", name="inbox_failed_log_in_once"),
    ]
