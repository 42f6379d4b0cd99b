"""An ended action's free text may be emptied, and nothing else of it (redaction).

The staff's words are in four columns: the note itself, the answer's text, and the notes inside
the frozen proposal and the frozen requests. Emptied means "" or, in a request's note, the
action's own marker; whatever stands around the notes has to stay as it was.
"""

from importlib import import_module

from django.db import migrations

_triggers = import_module("orders.migrations.0003_triggers")
MASKABLE = ["staff_note", "message", "proposal", "steps"]
SETTLED = ", ".join(f"'{state}'" for state in _triggers.SETTLED)
TABLE = "orders_orderaction"


def install(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        _postgresql(schema_editor)
    else:
        _sqlite(schema_editor)


def remove(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP TRIGGER orders_action_guard ON orders_orderaction")
        schema_editor.execute("DROP FUNCTION orders_action_guard()")
        schema_editor.execute("DROP FUNCTION orders_action_is_emptied")
        schema_editor.execute("DROP FUNCTION orders_steps_without_notes")
        schema_editor.execute("DROP FUNCTION orders_append_only() CASCADE")
    else:
        _triggers.remove(apps, schema_editor)
    _triggers.install(apps, schema_editor)


def _postgresql(schema_editor):
    frozen = " OR ".join(f"OLD.{c} IS DISTINCT FROM NEW.{c}" for c in _triggers.FROZEN)
    maskable = "ARRAY[" + ", ".join(f"'{name}'" for name in MASKABLE) + "]"
    schema_editor.execute(
        """
        CREATE FUNCTION orders_steps_without_notes(steps jsonb) RETURNS jsonb
        LANGUAGE sql IMMUTABLE AS $$
          SELECT coalesce(jsonb_agg(
            step #- '{variables,staffNote}' #- '{variables,input,note}' ORDER BY place), '[]')
          FROM jsonb_array_elements(steps) WITH ORDINALITY AS found(step, place)
        $$""",
        params=None,
    )
    schema_editor.execute(
        f"""
        CREATE FUNCTION orders_action_is_emptied(o {TABLE}, n {TABLE}) RETURNS boolean
        LANGUAGE sql IMMUTABLE AS $$
          SELECT o.state IN ({SETTLED})
            AND to_jsonb(o) - {maskable} = to_jsonb(n) - {maskable}
            AND n.staff_note IN ('', o.staff_note)
            AND n.message IN ('', o.message)
            AND o.proposal - 'staff_note' = n.proposal - 'staff_note'
            AND coalesce(n.proposal ->> 'staff_note', '')
                IN ('', coalesce(o.proposal ->> 'staff_note', ''))
            AND orders_steps_without_notes(o.steps) = orders_steps_without_notes(n.steps)
            AND (n.steps = o.steps OR NOT EXISTS (
              SELECT 1 FROM jsonb_array_elements(n.steps) AS found(step)
              WHERE coalesce(step #>> '{{variables,staffNote}}', '[ax:' || n.marker || ']')
                      <> '[ax:' || n.marker || ']'
                 OR coalesce(step #>> '{{variables,input,note}}', '[ax:' || n.marker || ']')
                      <> '[ax:' || n.marker || ']'))
        $$""",
        params=None,
    )
    schema_editor.execute(
        f"""
        CREATE OR REPLACE FUNCTION orders_action_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF orders_action_is_emptied(OLD, NEW) THEN
            RETURN NEW;
          END IF;
          IF {_triggers._illegal_move()} THEN
            RAISE integrity_constraint_violation
              USING MESSAGE = 'orders_action_move: ' || OLD.state || ' to ' || NEW.state;
          END IF;
          IF {_triggers._settled_changed()} THEN
            RAISE integrity_constraint_violation USING MESSAGE = 'orders_action_settled';
          END IF;
          IF {frozen} THEN
            RAISE integrity_constraint_violation USING MESSAGE = 'orders_action_frozen';
          END IF;
          RETURN NEW;
        END $$""",
        params=None,
    )


def _sqlite(schema_editor):
    with schema_editor.connection.cursor() as cursor:
        table = schema_editor.connection.introspection.get_table_description(cursor, TABLE)
    # A column a later migration adds has to be added here by that migration, too.
    rest = [column.name for column in table if column.name not in MASKABLE]
    marker = "('[ax:' || NEW.marker || ']')"
    emptied = " AND ".join(
        [
            f"OLD.state IN ({SETTLED})",
            *(f"OLD.{name} IS NEW.{name}" for name in rest),
            "NEW.staff_note IN ('', OLD.staff_note)",
            "NEW.message IN ('', OLD.message)",
            "json_remove(OLD.proposal, '$.staff_note') IS json_remove(NEW.proposal, '$.staff_note')",
            "coalesce(json_extract(NEW.proposal, '$.staff_note'), '')"
            " IN ('', coalesce(json_extract(OLD.proposal, '$.staff_note'), ''))",
            f"({_residue('OLD')}) IS ({_residue('NEW')})",
            "(NEW.steps IS OLD.steps OR NOT EXISTS (SELECT 1 FROM json_each(NEW.steps) WHERE"
            f" coalesce(json_extract(value, '$.variables.staffNote'), {marker}) <> {marker}"
            f" OR coalesce(json_extract(value, '$.variables.input.note'), {marker}) <> {marker}))",
        ]
    )
    frozen = " OR ".join(f"OLD.{c} IS NOT NEW.{c}" for c in _triggers.FROZEN)
    for name, condition in {"settled": _triggers._settled_changed(), "frozen": frozen}.items():
        schema_editor.execute(f"DROP TRIGGER orders_action_{name}")
        schema_editor.execute(
            f"CREATE TRIGGER orders_action_{name} BEFORE UPDATE ON {TABLE} "
            f"WHEN ({condition}) AND NOT ({emptied}) "
            f"BEGIN SELECT RAISE(ABORT, 'orders_action_{name}'); END",
            params=None,
        )


def _residue(row):
    """The frozen requests of a row without their notes, in order."""
    return (
        "SELECT group_concat(json_remove(value, '$.variables.staffNote', '$.variables.input.note'),"
        f" '|') FROM json_each({row}.steps)"
    )


class Migration(migrations.Migration):
    dependencies = [("orders", "0006_privacy")]
    operations = [migrations.RunPython(install, remove)]
