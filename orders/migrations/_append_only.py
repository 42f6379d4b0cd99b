"""The triggers that make a table append-only, for the migrations that install them.

Install them again after any operation that rebuilds such a table on SQLite: Django makes a new
table, and the triggers go with the old one.
"""


def drop(schema_editor, table):
    """Before operations that rebuild the table."""
    if schema_editor.connection.vendor == "postgresql":
        for name in ("rows", "whole"):
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_{name} ON {table}")
        return
    for name in ("update", "delete", "replace"):
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_{name}")


def install(schema_editor, table):
    """Refuse updates, deletions and, on PostgreSQL, emptying the table."""
    drop(schema_editor, table)
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            f"CREATE TRIGGER {table}_rows BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION orders_append_only()"
        )
        schema_editor.execute(
            f"CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION orders_append_only()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        schema_editor.execute(
            f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END",
            params=None,
        )


def refuse_replacing(schema_editor, table, *columns):
    """On SQLite, refuse an INSERT OR REPLACE of an existing row.

    It deletes the old row without its DELETE trigger, unless PRAGMA recursive_triggers is on, which
    another program that opens the file need not have. `columns`: each is unique.
    """
    if schema_editor.connection.vendor == "postgresql":
        return
    same = " OR ".join(f"{column} = NEW.{column}" for column in columns)
    schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_replace")
    schema_editor.execute(
        f"CREATE TRIGGER {table}_replace BEFORE INSERT ON {table} "
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END",
        params=None,
    )
