"""The triggers on orders_orderaction, for the migrations that install them.

They allow exactly the listed moves, freeze what was confirmed, and close settled rows except for
redaction: an ended action's free text may be emptied ("" or, in a request's note, the action's own
marker), and nothing else of it. `keep` refuses deletions. Install both again after any operation
that rebuilds the table on SQLite, and after every new column: the SQLite form names each column.
"""

TABLE = "orders_orderaction"
# What was confirmed is what is sent: none of it changes after the row was written.
FROZEN = [
    "order_id",
    "kind",
    "requested_by_id",
    "nonce",
    "digest",
    "proposal",
    "steps",
    "idempotency_key",
    "marker",
    "amount",
    "currency",
    "amount_shop",
    "approvals_needed",
]
# The staff's words: the note, Shopify's answer, and the notes inside the frozen JSON.
MASKABLE = ["staff_note", "message", "proposal", "steps"]


def drop(schema_editor):
    """Before operations that rebuild the table."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP TRIGGER IF EXISTS orders_action_guard ON {TABLE}")
        return
    for name in ("move", "settled", "frozen"):
        schema_editor.execute(f"DROP TRIGGER IF EXISTS orders_action_{name}")


def install(schema_editor, *, moves, settled, emptied=()):
    """`moves`: state -> the states it may become; `settled`: the states that are history;
    `emptied`: further states in which nothing is sent any more, so that the text may go."""
    drop(schema_editor)
    emptied = ", ".join(f"'{state}'" for state in [*settled, *emptied])
    settled = ", ".join(f"'{state}'" for state in settled)
    pairs = ", ".join(f"'{old}>{new}'" for old, news in moves.items() for new in news)
    illegal = f"OLD.state <> NEW.state AND (OLD.state || '>' || NEW.state) NOT IN ({pairs})"
    changed = f"OLD.state = NEW.state AND OLD.state IN ({settled})"
    if schema_editor.connection.vendor == "postgresql":
        _postgresql(schema_editor, illegal, changed, emptied)
    else:
        _sqlite(schema_editor, illegal, changed, emptied)


def keep(schema_editor):
    """Refuse to delete an action, to replace it (SQLite), to empty the table (PostgreSQL), and to
    give an action another ID."""
    release(schema_editor)
    if schema_editor.connection.vendor == "postgresql":
        for name, when, each in (
            ("kept", "DELETE", "ROW"),
            ("renumbered", "UPDATE OF id", "ROW"),
            ("emptied", "TRUNCATE", "STATEMENT"),
        ):
            schema_editor.execute(
                f"CREATE TRIGGER orders_action_{name} BEFORE {when} ON {TABLE} "
                f"FOR EACH {each} EXECUTE FUNCTION orders_append_only()"
            )
        return
    replaced = f"EXISTS (SELECT 1 FROM {TABLE} WHERE id = NEW.id)"
    for name, when in (
        ("kept", f"DELETE ON {TABLE}"),
        ("renumbered", f"UPDATE OF id ON {TABLE} WHEN OLD.id <> NEW.id"),
        ("replaced", f"INSERT ON {TABLE} WHEN {replaced}"),
    ):
        schema_editor.execute(
            f"CREATE TRIGGER orders_action_{name} BEFORE {when} "
            "BEGIN SELECT RAISE(ABORT, 'actions are kept'); END",
            params=None,
        )


def release(schema_editor):
    """Take away what `keep` installs."""
    if schema_editor.connection.vendor == "postgresql":
        for name in ("kept", "renumbered", "emptied"):
            schema_editor.execute(f"DROP TRIGGER IF EXISTS orders_action_{name} ON {TABLE}")
        return
    for name in ("kept", "renumbered", "replaced"):
        schema_editor.execute(f"DROP TRIGGER IF EXISTS orders_action_{name}")


def _postgresql(schema_editor, illegal, changed, emptied):
    frozen = " OR ".join(f"OLD.{c} IS DISTINCT FROM NEW.{c}" for c in FROZEN)
    maskable = "ARRAY[" + ", ".join(f"'{name}'" for name in MASKABLE) + "]"
    schema_editor.execute(
        f"""
        CREATE OR REPLACE FUNCTION orders_action_is_emptied(o {TABLE}, n {TABLE})
        RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
          SELECT o.state IN ({emptied})
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
          IF {illegal} THEN
            RAISE integrity_constraint_violation
              USING MESSAGE = 'orders_action_move: ' || OLD.state || ' to ' || NEW.state;
          END IF;
          IF {changed} THEN
            RAISE integrity_constraint_violation USING MESSAGE = 'orders_action_settled';
          END IF;
          IF {frozen} THEN
            RAISE integrity_constraint_violation USING MESSAGE = 'orders_action_frozen';
          END IF;
          RETURN NEW;
        END $$""",
        params=None,
    )
    schema_editor.execute(
        f"CREATE TRIGGER orders_action_guard BEFORE UPDATE ON {TABLE} "
        "FOR EACH ROW EXECUTE FUNCTION orders_action_guard()"
    )


def _sqlite(schema_editor, illegal, changed, emptied):
    with schema_editor.connection.cursor() as cursor:
        table = schema_editor.connection.introspection.get_table_description(cursor, TABLE)
    rest = [column.name for column in table if column.name not in MASKABLE]
    marker = "('[ax:' || NEW.marker || ']')"
    emptied = " AND ".join(
        [
            f"OLD.state IN ({emptied})",
            *(f"OLD.{name} IS NEW.{name}" for name in rest),
            "NEW.staff_note IN ('', OLD.staff_note)",
            "NEW.message IN ('', OLD.message)",
            "json_remove(OLD.proposal, '$.staff_note') IS json_remove(NEW.proposal, '$.staff_note')",
            "coalesce(json_extract(NEW.proposal, '$.staff_note'), '')"
            " IN ('', coalesce(json_extract(OLD.proposal, '$.staff_note'), ''))",
            f"({_without_notes('OLD')}) IS ({_without_notes('NEW')})",
            "(NEW.steps IS OLD.steps OR NOT EXISTS (SELECT 1 FROM json_each(NEW.steps) WHERE"
            f" coalesce(json_extract(value, '$.variables.staffNote'), {marker}) <> {marker}"
            f" OR coalesce(json_extract(value, '$.variables.input.note'), {marker}) <> {marker}))",
        ]
    )
    frozen = " OR ".join(f"OLD.{c} IS NOT NEW.{c}" for c in FROZEN)
    guards = {
        "move": illegal,
        "settled": f"({changed}) AND NOT ({emptied})",
        "frozen": f"({frozen}) AND NOT ({emptied})",
    }
    for name, condition in guards.items():
        schema_editor.execute(
            f"CREATE TRIGGER orders_action_{name} BEFORE UPDATE ON {TABLE} "
            f"WHEN {condition} BEGIN SELECT RAISE(ABORT, 'orders_action_{name}'); END",
            params=None,
        )


def _without_notes(row):
    """The frozen requests of a row without their notes, in order."""
    return (
        "SELECT group_concat(json_remove(value, '$.variables.staffNote', '$.variables.input.note'),"
        f" '|') FROM json_each({row}.steps)"
    )
