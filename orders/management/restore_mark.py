"""The mark on a database whose restore isn't finished: a comment on one of its tables.

It's committed together with the restored rows, and taken away after the last step. Until then no
server or worker starts (`migrate --check` fails), and `restore` goes on where it was.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, field
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.sql import Literal

# A table that every database of ours has, whatever its version.
_TABLE: Final = "django_migrations"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Which restore isn't finished; `frozen_before` has the stores that were frozen in the backup."""

    sha256: str
    file: str
    restore: str = field(default_factory=lambda: uuid.uuid4().hex)
    frozen_before: tuple[str, ...] = ()


def freeze_and_mark(mark: Mark) -> str:
    """Return the statement that freezes every store and leaves the mark, for psql."""
    content = Literal(json.dumps(asdict(mark))).as_string()
    # Our own text; the file's name and hash are quoted.
    return f"""
DO $restored$
DECLARE frozen jsonb;
BEGIN
  SELECT coalesce(jsonb_agg(domain ORDER BY domain), '[]') INTO frozen
    FROM orders_store WHERE is_frozen;
  EXECUTE format('COMMENT ON TABLE {_TABLE} IS %L',
    ({content}::jsonb || jsonb_build_object('frozen_before', frozen))::text);
  UPDATE orders_store SET is_frozen = true WHERE NOT is_frozen;
END $restored$;
"""  # noqa: S608


def read(connection: BaseDatabaseWrapper) -> Mark | None:
    """Return the database's mark; None if no restore is unfinished."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT obj_description(to_regclass(%s), 'pg_class')", [_TABLE])
        (text,) = cursor.fetchone()
    try:
        said = json.loads(text or "")
        return Mark(**said | {"frozen_before": tuple(said["frozen_before"])})
    except (ValueError, KeyError, TypeError):
        return None


def clear(connection: BaseDatabaseWrapper) -> None:
    """Take the mark away. Only the table's owner may."""
    with connection.cursor() as cursor:
        cursor.execute(f"COMMENT ON TABLE {_TABLE} IS NULL")
