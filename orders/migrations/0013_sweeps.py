"""What sweeps put off, counters that cannot overflow, and text that a deletion may take.

An action that only a supervisor's word can end is never sent again. Its free text may be emptied
like that of an ended one, so that a legal deletion does not wait for that word for ever.
"""

from importlib import import_module

from django.db import migrations, models

from orders.migrations import _action_guard

_before = import_module("orders.migrations.0012_engine_truth")


def install_guard(apps, schema_editor):
    _action_guard.install(
        schema_editor, moves=_before.MOVES, settled=_before.SETTLED, emptied=["needs_human"]
    )


def install_old_guard(apps, schema_editor):
    _action_guard.install(schema_editor, moves=_before.MOVES, settled=_before.SETTLED)


class Migration(migrations.Migration):
    dependencies = [("orders", "0012_engine_truth")]

    operations = [
        migrations.AddField(
            model_name="orderevent",
            name="announce_after",
            field=models.DateTimeField(
                help_text="Telling of it failed; it is tried again then.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="customer",
            name="fetch_failures",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.RunPython(install_guard, install_old_guard),
    ]
