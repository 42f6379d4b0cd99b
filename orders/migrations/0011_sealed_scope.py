from django.db import migrations

import core.encryption


class Migration(migrations.Migration):
    dependencies = [("orders", "0010_checkouts")]

    # The same text in the same column: only the program knows it as sealed now.
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="privacyrequest",
                    name="sealed_scope",
                    field=core.encryption.SealedTextField(
                        blank=True,
                        editable=False,
                        help_text="Whose data, encrypted; emptied at the end.",
                    ),
                )
            ]
        )
    ]
