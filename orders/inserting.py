"""Many rows into one table, fast: COPY on PostgreSQL, one prepared statement elsewhere.

bulk_create spends most of its time on model instances and on building SQL; a back-fill inserts
a dozen rows an order and has a hundred thousand orders. The database's constraints hold here
as everywhere; signals and `auto_now` do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db import connections, models

Row = dict[str, Any]
_PLAIN = (models.CharField, models.TextField, models.IntegerField, models.ForeignKey)
# psycopg writes these as they are.
_KNOWN = (models.DecimalField, models.DateTimeField, models.BooleanField)


def insert(model: type[models.Model], rows: Sequence[Row]) -> None:
    """Insert rows of equal keys, named by column attribute ("order_id"). Columns not named get
    their field's default. Raises IntegrityError, in the caller's transaction."""
    if not rows:
        return
    fields = [f for f in model._meta.concrete_fields if not f.primary_key]
    named = rows[0].keys()
    # The connection itself: its proxy is asked a million times otherwise.
    here = connections["default"]
    prepare = [_converter(field, here) for field in fields]
    defaults = [None if f.attname in named else f.get_default() for f in fields]
    keys = [field.attname for field in fields]

    def values(row: Row) -> tuple[Any, ...]:
        found = (row.get(key, default) for key, default in zip(keys, defaults, strict=True))
        return tuple(
            convert(value) if convert and value is not None else value
            for convert, value in zip(prepare, found, strict=True)
        )

    quote = here.ops.quote_name
    table = quote(model._meta.db_table)
    columns = ", ".join(quote(str(field.column)) for field in fields)
    with here.cursor() as cursor:
        if here.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(values(row))
        else:
            marks = ", ".join(["%s"] * len(fields))
            sql = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608  names of ours
            cursor.executemany(sql, [values(row) for row in rows])


def _converter(field: models.Field[Any, Any], here: Any) -> Callable[[Any], Any] | None:
    """What the database's driver does not take as it is."""
    if isinstance(field, _PLAIN) or (here.vendor == "postgresql" and isinstance(field, _KNOWN)):
        return None
    return lambda value: field.get_db_prep_save(value, here)
