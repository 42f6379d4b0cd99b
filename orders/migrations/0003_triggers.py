"""What a constraint cannot say: which moves an action may make, and that history stays.

Frozen here; tests/orders/database/test_database.py holds it against orders.models.TRANSITIONS.
"""

from django.db import migrations

MOVES = {
    "awaiting_approval": ["queued", "withdrawn", "declined", "expired"],
    "queued": ["sending", "withdrawn", "succeeded", "partial", "reversed"],
    "sending": [
        "queued",
        "pending",
        "unknown",
        "blocked",
        "needs_human",
        "rejected",
        "succeeded",
        "partial",
        "reversed",
    ],
    "pending": ["sending", "succeeded", "partial", "reversed"],
    "unknown": ["sending", "succeeded", "partial", "reversed"],
    "blocked": ["sending", "withdrawn", "succeeded", "partial", "reversed"],
    "needs_human": ["rejected", "succeeded", "partial", "reversed"],
    "succeeded": ["reversed", "partial"],
}
SETTLED = ["succeeded", "partial", "rejected", "reversed", "withdrawn", "declined", "expired"]
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
APPEND_ONLY = ["orders_auditentry", "orders_auditseal"]


def _illegal_move():
    pairs = ", ".join(f"'{old}>{new}'" for old, news in MOVES.items() for new in news)
    return f"OLD.state <> NEW.state AND (OLD.state || '>' || NEW.state) NOT IN ({pairs})"


def _settled_changed():
    settled = ", ".join(f"'{state}'" for state in SETTLED)
    return f"OLD.state = NEW.state AND OLD.state IN ({settled})"


def install(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        _postgresql(schema_editor)
    else:
        _sqlite(schema_editor)


def _postgresql(schema_editor):
    frozen = " OR ".join(f"OLD.{c} IS DISTINCT FROM NEW.{c}" for c in FROZEN)
    schema_editor.execute(
        f"""
        CREATE FUNCTION orders_action_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF {_illegal_move()} THEN
            RAISE integrity_constraint_violation
              USING MESSAGE = 'orders_action_move: ' || OLD.state || ' to ' || NEW.state;
          END IF;
          IF {_settled_changed()} THEN
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
        "CREATE TRIGGER orders_action_guard BEFORE UPDATE ON orders_orderaction "
        "FOR EACH ROW EXECUTE FUNCTION orders_action_guard()"
    )
    schema_editor.execute(
        """
        CREATE FUNCTION orders_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          RAISE integrity_constraint_violation USING MESSAGE = TG_TABLE_NAME || ' is append-only';
        END $$""",
        params=None,
    )
    for table in APPEND_ONLY:
        schema_editor.execute(
            f"CREATE TRIGGER {table}_rows BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION orders_append_only()"
        )
        schema_editor.execute(
            f"CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION orders_append_only()"
        )


def _sqlite(schema_editor):
    frozen = " OR ".join(f"OLD.{c} IS NOT NEW.{c}" for c in FROZEN)
    guards = {"move": _illegal_move(), "settled": _settled_changed(), "frozen": frozen}
    for name, condition in guards.items():
        schema_editor.execute(
            f"CREATE TRIGGER orders_action_{name} BEFORE UPDATE ON orders_orderaction "
            f"WHEN {condition} BEGIN SELECT RAISE(ABORT, 'orders_action_{name}'); END",
            params=None,
        )
    for table in APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            schema_editor.execute(
                f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END",
                params=None,
            )


def remove(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION orders_action_guard() CASCADE")
        schema_editor.execute("DROP FUNCTION orders_append_only() CASCADE")
        return
    names = [f"orders_action_{name}" for name in ("move", "settled", "frozen")]
    names += [f"{table}_{verb}" for table in APPEND_ONLY for verb in ("update", "delete")]
    for name in names:
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}")


class Migration(migrations.Migration):
    dependencies = [("orders", "0002_policies_and_audit")]
    operations = [migrations.RunPython(install, remove)]
