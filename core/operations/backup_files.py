"""A backup on disk: the archive, and beside it a small file that says what it is.

`agent-inbox.dump` is described by `agent-inbox.dump.json`. Both are readable by their owner only.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from core.operations.postgres import Trouble

FORMAT: Final = 1
# What a backup doesn't have, and a restored installation needs. docs/operating.md says where to
# keep each of them.
NOT_INCLUDED: Final = (
    "SECRET_KEY",
    "FIELD_ENCRYPTION_KEYS",
    "AUDIT_KEYS",
    "PRIVACY_KEY",
    "REDACTION_LEDGER_FILE",
    "AUDIT_HEADS_FILE",
)
_ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Description:
    """What the file beside an archive says of it.

    `migrations` has the last one of each app; `facts` is what the apps add, such as the audit log's
    head.
    """

    made_at: datetime
    version: str
    database: str
    server: str
    migrations: dict[str, str]
    facts: dict[str, Any]
    size: int
    sha256: str
    not_included: tuple[str, ...] = field(default=NOT_INCLUDED)
    format: int = FORMAT

    def as_text(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self) | {"made_at": self.made_at.isoformat()}, indent=2) + "\n"


def code_version() -> str:
    """Return the version of this code."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


def last_migrations(connection: BaseDatabaseWrapper) -> dict[str, str]:
    """Return the last migration of each app that this database has."""
    # Sorted, so that the last of each app stays.
    return dict(sorted(MigrationRecorder(connection).applied_migrations()))


def unknown_migrations(described: dict[str, str]) -> list[str]:
    """Return those of a backup's last migrations that this code doesn't have, as app.name."""
    loader = MigrationLoader(None)
    known = set(loader.disk_migrations)
    for migration in loader.disk_migrations.values():
        known.update(migration.replaces)
    return [f"{app}.{name}" for app, name in described.items() if (app, name) not in known]


def description_of(path: Path) -> Path:
    """Return the path of the file that describes this archive."""
    return path.with_name(f"{path.name}.json")


def target(given: Path, *, now: datetime) -> Path:
    """Return the archive's path: the one given, or a new one in the folder given. Raises Trouble."""
    path = (
        given / f"agent-inbox-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.dump"
        if given.is_dir()
        else given
    )
    if path.exists():
        raise Trouble(f"{path} exists, and a backup never overwrites a file. Choose another name.")
    if not path.parent.is_dir():
        raise Trouble(f"The folder {path.parent} doesn't exist. Create it first.")
    return path


@contextmanager
def unfinished(path: Path) -> Iterator[tuple[Path, int]]:
    """Inside, write to the path that is yielded; afterward, `finish` it. Raises Trouble.

    The file is locked through the descriptor that is yielded, too, so that one left by a killed
    backup can be told from one that another backup is writing. It's deleted unless finished.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Trouble(f"{partial} can't be written: {error.strerror}.") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Trouble(f"Another backup is writing {partial}. Wait until it ends.") from None
        os.fchmod(descriptor, 0o600)
        try:
            yield partial, descriptor
        finally:
            partial.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def finish(partial: Path, path: Path, description: Description) -> None:
    """Make the archive durable and give it its name; its description first. Raises Trouble.

    An archive without a description would be one that can't be restored.
    """
    beside = description_of(path)
    made = partial.with_name(f"{beside.name}.partial")
    try:
        with open(made, "w", encoding="utf-8", opener=_private) as file:
            file.write(description.as_text())
            _sync(file.fileno())
        with partial.open("rb") as archive:
            _sync(archive.fileno())
        if path.exists():
            raise Trouble(f"{path} was written by someone else in the meantime.")
        made.rename(beside)
        partial.rename(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            _sync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Trouble(f"{path} can't be written: {error.strerror}.") from error
    finally:
        made.unlink(missing_ok=True)


def read_description(path: Path) -> Description:
    """Return what the file beside the archive says. Raises Trouble."""
    beside = description_of(path)
    if not path.is_file():
        raise Trouble(f"{path} doesn't exist.")
    try:
        said = json.loads(beside.read_text(encoding="utf-8"))
        if said["format"] > FORMAT:
            raise Trouble(f"{path} was made by a newer version. Restore it with that version.")
        said["made_at"] = datetime.fromisoformat(said["made_at"])
        return Description(**said)
    except FileNotFoundError:
        raise Trouble(
            f"{beside} is missing. `./run backup` writes it beside each backup: it holds the hash "
            "by which a damaged file is noticed. Bring it back from where the backup was copied from."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Trouble(f"{beside} can't be read: {error}") from error


def check_hash(path: Path, description: Description) -> None:
    """Compare the archive with its description. Raises Trouble if it was damaged or exchanged."""
    if path.stat().st_size != description.size or sha256_of(path) != description.sha256:
        raise Trouble(
            f"{path} isn't what was backed up: its SHA-256 differs from the one in "
            f"{description_of(path).name}. Copy it again, or take another backup."
        )


def sha256_of(path: Path) -> str:
    """Return the hash of the file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync(descriptor: int) -> None:
    os.fsync(descriptor)
