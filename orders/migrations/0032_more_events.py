"""Events about returns, edits, holds, disputes and notes."""

from typing import Any

from django.db import migrations, models


class ReplaceCheck(migrations.AddConstraint):
    """Put a constraint in the place of the one with its name, without holding up readers or writers.

    PostgreSQL reads the table afterward, while it is in use. Can simply be run again.
    """

    def state_forwards(self, app_label: str, state: Any) -> None:
        state.remove_constraint(app_label, self.model_name_lower, self.constraint.name)
        super().state_forwards(app_label, state)

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        name, table = self.constraint.name, schema_editor.quote_name(model._meta.db_table)
        if schema_editor.connection.vendor != "postgresql":
            schema_editor.remove_constraint(model, self.constraint)
            schema_editor.add_constraint(model, self.constraint)
            return
        added = str(self.constraint.create_sql(model, schema_editor))
        _alter, _table, add = added.partition(" ADD ")
        drop = f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}"
        schema_editor.execute(f"{drop}, ADD {add} NOT VALID", params=None)
        schema_editor.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}", params=None)

    def database_backwards(self, *args: Any) -> None:
        """Keep it: events of the new kinds may be there."""


KINDS = [
    ("placed", "Order placed"),
    ("paid", "Payment received"),
    ("fulfilled", "Shipped"),
    ("delivered", "Delivered"),
    ("canceled", "Order canceled"),
    ("refunded", "Refunded"),
    ("action_failed", "Not carried out"),
    ("return", "Return"),
    ("edited", "Order edited"),
    ("hold", "On hold"),
    ("dispute", "Payment dispute"),
    ("note", "Note on the order changed"),
]


class Migration(migrations.Migration):
    # The table is checked in a transaction of its own.
    atomic = False

    dependencies = [("orders", "0031_policy_conditions")]

    operations = [
        migrations.AlterField(
            model_name="orderevent",
            name="kind",
            field=models.CharField(choices=KINDS, max_length=20),
        ),
        ReplaceCheck(
            model_name="orderevent",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", [kind for kind, _label in KINDS])),
                name="orders_event_kind_known",
            ),
        ),
    ]
