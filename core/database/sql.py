"""Plain SQL on our tables, without model instances and without building each statement again.

bulk_create, save(), update() and a simple filter() spend most of their time building what is the
same every time. A backfill inserts a dozen rows per order for a hundred thousand orders, and a
single read of an order writes the same dozen while a browser waits. Database constraints apply as
everywhere; signals and `auto_now` don't.

Columns are named by their attribute ("order_id").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, TypeVar

from django.db import connections, models
from django.db.models.expressions import Col

Row = Mapping[str, object]
# A row as the driver returns it: its columns have the types of the named fields.
Found = tuple[Any, ...]
# Values for a statement, converted to what the driver takes.
Parameters = list[Any]
Instance = TypeVar("Instance", bound=models.Model)
_Converter = Callable[[object], object] | None
_PLAIN = (models.CharField, models.TextField, models.IntegerField, models.ForeignKey)
# psycopg adapts these without help.
_KNOWN = (models.DecimalField, models.DateTimeField, models.BooleanField)
_REPEATED = (models.DecimalField, models.DateTimeField)
_PARAMETERS = 999  # per statement: the limit of older SQLite versions


def insert(model: type[models.Model], rows: Sequence[Row]) -> None:
    """Insert many rows: COPY on PostgreSQL, one prepared statement elsewhere.

    All rows have the same two or more keys; other columns get their field's default. Raises
    IntegrityError inside the caller's transaction.
    """
    if not rows:
        return
    here = connections["default"]
    absent = _defaults(model, frozenset(rows[0]))
    keys = [*rows[0], *absent]
    converters = _converters(model, here.vendor)
    steps = [(n, step) for n, key in enumerate(keys) if (step := converters[key])]
    named, rest = itemgetter(*rows[0]), tuple(absent.values())

    def values(row: Row) -> Found | Parameters:
        found: Found = named(row) + rest
        if not steps:
            return found
        own = list(found)
        for place, step in steps:
            if own[place] is not None:
                own[place] = step(own[place])
        return own

    table = _table(model)
    columns = ", ".join(_column(model, key) for key in keys)
    with here.cursor() as cursor:
        if here.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(values(row))
        else:
            marks = ", ".join(["%s"] * len(keys))
            sql = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608  names of ours
            cursor.executemany(sql, [values(row) for row in rows])


def upsert(model: type[models.Model], rows: Sequence[Row], *, unique: tuple[str, ...]) -> None:
    """Insert rows, or update the existing ones that match on the `unique` columns.

    All rows have the same keys. An existing row keeps the columns that aren't named; a new one gets
    their defaults.
    """
    if not rows:
        return
    changing = tuple(key for key in rows[0] if key not in unique)
    for part in _parts(model, rows):
        _write(model, _upserting(model, tuple(part[0]), len(part), unique, changing), part)


def insert_few(model: type[models.Model], rows: Sequence[Row]) -> list[int]:
    """Insert rows that have the same keys and return their IDs in order. Raises IntegrityError."""
    if not rows:
        return []
    ids: list[int] = []
    for part in _parts(model, rows):
        sql = f"{_inserting(model, tuple(part[0]), len(part))} RETURNING {_column(model, 'id')}"
        ids += sorted(pk for (pk,) in _write(model, sql, part))
    return ids


def update(model: type[models.Model], pk: int, columns: Row) -> None:
    """Set columns of the row with this ID; no error if there is none."""
    sets = ", ".join(f"{_column(model, key)} = %s" for key in columns)
    sql = f"UPDATE {_table(model)} SET {sets} WHERE {_column(model, 'id')} = %s"  # noqa: S608
    here = connections["default"]
    with here.cursor() as cursor:
        cursor.execute(sql, [*_values(model, columns, here.vendor), pk])


def select(model: type[models.Model], *names: str, **where: object) -> list[Found]:
    """Return these columns of the rows that match `where`; a list there means IN."""
    if any(found == [] for found in where.values()):
        return []
    here = connections["default"]
    sql = _selecting(model, names, _shape(where))
    with here.cursor() as cursor:
        cursor.execute(sql, _flat(model, where, here.vendor))
        return _read(model, names, cursor.fetchall())


def lock(model: type[Instance], pk: int) -> Instance:
    """Return the row, locked until the transaction ends. Raises DoesNotExist."""
    here = connections["default"]
    names = tuple(field.attname for field in model._meta.concrete_fields)
    sql = _selecting(model, names, (("id", 0),)) + (
        " FOR UPDATE" if here.features.has_select_for_update else ""
    )
    with here.cursor() as cursor:
        cursor.execute(sql, [pk])
        rows = _read(model, names, cursor.fetchall())
    if not rows:
        raise model.DoesNotExist(f"{model.__name__} {pk}")  # type: ignore[attr-defined]
    return model.from_db("default", names, rows[0])


def delete(model: type[models.Model], **where: object) -> None:
    """Delete the rows that match `where` (as in `select`), without cascading."""
    sql = f"DELETE FROM {_table(model)} WHERE {_where(model, _shape(where))}"  # noqa: S608
    here = connections["default"]
    with here.cursor() as cursor:
        cursor.execute(sql, _flat(model, where, here.vendor))


def _shape(where: Row) -> tuple[tuple[str, int], ...]:
    """Return what the SQL of a condition depends on: names, and the length of each list of values."""
    return tuple((k, len(v) if isinstance(v, list) else 0) for k, v in where.items())


def _flat(model: type[models.Model], where: Row, vendor: str) -> Parameters:
    converters = _converters(model, vendor)
    return [
        convert(value) if (convert := converters[key]) else value
        for key, found in where.items()
        for value in (found if isinstance(found, list) else [found])
    ]


@lru_cache(maxsize=256)
def _selecting(
    model: type[models.Model], names: tuple[str, ...], shape: tuple[tuple[str, int], ...]
) -> str:
    columns = ", ".join(_column(model, name) for name in names)
    return f"SELECT {columns} FROM {_table(model)} WHERE {_where(model, shape)}"  # noqa: S608


def _where(model: type[models.Model], shape: tuple[tuple[str, int], ...]) -> str:
    return " AND ".join(
        f"{_column(model, key)} IN ({', '.join(['%s'] * many)})"
        if many
        else f"{_column(model, key)} = %s"
        for key, many in shape
    )


def _read(model: type[models.Model], names: tuple[str, ...], rows: list[Found]) -> list[Found]:
    """Convert driver values to the model's types: SQLite has neither decimals nor datetimes."""
    here = connections["default"]
    readers = _readers(model, names, here.vendor)
    if not readers:
        return rows
    found = []
    for row in rows:
        values = list(row)
        for place, expression, steps in readers:
            for step in steps:
                values[place] = step(values[place], expression, here)
        found.append(tuple(values))
    return found


@lru_cache(maxsize=256)
def _readers(
    model: type[models.Model], names: tuple[str, ...], vendor: str
) -> list[tuple[int, Col, list[Callable[..., object]]]]:
    here = connections["default"]
    fields = {field.attname: field for field in model._meta.concrete_fields}
    found: list[tuple[int, Col, list[Callable[..., object]]]] = []
    for place, name in enumerate(names):
        column = fields[name].cached_col
        steps = [*here.ops.get_db_converters(column), *column.get_db_converters(here)]
        if steps:
            found.append((place, column, steps))
    return found


def _parts(model: type[models.Model], rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Split rows, with defaults filled in, so that no statement exceeds _PARAMETERS."""
    absent = _defaults(model, frozenset(rows[0]))
    size = _PARAMETERS // (len(absent) + len(rows[0]))
    for start in range(0, len(rows), size):
        yield [{**absent, **row} for row in rows[start : start + size]]


def _write(model: type[models.Model], sql: str, rows: Sequence[Row]) -> list[Found]:
    here = connections["default"]
    with here.cursor() as cursor:
        cursor.execute(sql, [value for row in rows for value in _values(model, row, here.vendor)])
        return cursor.fetchall() if cursor.description else []


def _values(model: type[models.Model], row: Row, vendor: str) -> Parameters:
    converters = _converters(model, vendor)
    return [
        convert(value) if value is not None and (convert := converters[key]) else value
        for key, value in row.items()
    ]


@lru_cache(maxsize=512)
def _upserting(
    model: type[models.Model],
    keys: tuple[str, ...],
    count: int,
    unique: tuple[str, ...],
    changing: tuple[str, ...],
) -> str:
    target = ", ".join(_column(model, key) for key in unique)
    names = [_column(model, key) for key in changing]
    sets = ", ".join(f"{name} = EXCLUDED.{name}" for name in names)
    return f"{_inserting(model, keys, count)} ON CONFLICT ({target}) DO UPDATE SET {sets}"


@lru_cache(maxsize=512)
def _inserting(model: type[models.Model], keys: tuple[str, ...], count: int) -> str:
    names = ", ".join(_column(model, key) for key in keys)
    marks = ", ".join([f"({', '.join(['%s'] * len(keys))})"] * count)
    return f"INSERT INTO {_table(model)} ({names}) VALUES {marks}"  # noqa: S608  names of ours


@lru_cache(maxsize=64)
def _defaults(model: type[models.Model], named: frozenset[str]) -> dict[str, object]:
    """Return the defaults of unnamed columns; Django sets them, the database has none.

    It computes generated columns itself.
    """
    fields = [f for f in model._meta.concrete_fields if not (f.primary_key or f.generated)]
    return {f.attname: f.get_default() for f in fields if f.attname not in named}


def _table(model: type[models.Model]) -> str:
    return connections["default"].ops.quote_name(model._meta.db_table)


def _column(model: type[models.Model], key: str) -> str:
    """Return the quoted column name of an attribute ("order_id")."""
    return connections["default"].ops.quote_name(_columns(model)[key])


@lru_cache(maxsize=64)
def _columns(model: type[models.Model]) -> dict[str, str]:
    return {field.attname: str(field.column) for field in model._meta.concrete_fields}


@lru_cache(maxsize=64)
def _converters(model: type[models.Model], vendor: str) -> dict[str, _Converter]:
    return {f.attname: _converter(f, vendor) for f in model._meta.concrete_fields}


def _converter(field: models.Field[Any, Any], vendor: str) -> _Converter:
    """Return a function for values the database driver can't take as they are; else None."""
    if isinstance(field, _PLAIN) or (vendor == "postgresql" and isinstance(field, _KNOWN)):
        return None

    def convert(value: object) -> object:
        return field.get_db_prep_save(value, connections["default"])

    # Cached, because a batch of orders repeats the same zeros, prices and times.
    return lru_cache(maxsize=4096)(convert) if isinstance(field, _REPEATED) else convert
