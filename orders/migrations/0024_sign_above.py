"""Approvals above a limit can take the approver's passkey."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0023_kept_actions"),
    ]

    operations = [
        migrations.AddField(
            model_name="policy",
            name="sign_above",
            field=models.DecimalField(
                blank=True,
                decimal_places=4,
                help_text="Approving a larger refund requires the approver's passkey. Empty: never.",
                max_digits=19,
                null=True,
                validators=[django.core.validators.MinValueValidator(0)],
                verbose_name="passkey above",
            ),
        ),
    ]
