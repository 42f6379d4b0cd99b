from django.db import migrations

import orders.fields


class Migration(migrations.Migration):
    dependencies = [("orders", "0010_checkouts")]

    # The same text in the same column: only the program knows it as sealed now.
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="privacyrequest",
                    name="sealed_scope",
                    field=orders.fields.SealedTextField(
                        blank=True,
                        editable=False,
                        help_text="Whose data, encrypted; emptied at the end.",
                    ),
                )
            ]
        )
    ]
