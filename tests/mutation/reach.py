"""Which test reaches which line, and how long it takes. Kept in var/mutation."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.mutation.mutants import Mutant

# What a test's way through the code can depend on.
_KINDS = {".py", ".html", ".txt", ".json", ".graphql"}
_NOT_READ = {"var", ".venv", ".git", "docs", "bench", "node_modules", "staticfiles"}


@dataclass
class Reach:
    """Of the tests that pass by themselves: seconds, and the lines by module."""

    seconds: dict[str, float] = field(default_factory=dict)
    tests: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    by_module: dict[str, set[str]] = field(default_factory=dict)

    def add(self, rows: dict[str, Any]) -> None:
        """The rows of one test file, by the ids of its tests."""
        for test, row in rows.items():
            self.seconds[test] = row["seconds"]
            for module, lines in row["lines"].items():
                self.by_module.setdefault(module, set()).add(test)
                for line in lines:
                    self.tests.setdefault((module, line), set()).add(test)

    def of(self, mutant: Mutant) -> list[str]:
        """The tests that can notice it, quickest first."""
        found: set[str] = set()
        for line in mutant.reach:
            found |= self.tests.get((mutant.module, line), set())
        if mutant.is_at_import and not found:
            found = self.by_module.get(mutant.module, set())
        return sorted(found, key=lambda test: (self.seconds[test], test))


class Keys:
    """What to keep a test file's rows under: a hash of all that its way can depend on."""

    def __init__(
        self, root: Path, modules: list[str], test_folders: tuple[str, ...], database: str
    ) -> None:
        self.root = root
        digest = hashlib.sha256(repr(modules).encode() + database.encode())
        for path in sorted(_files(root)):
            name = str(path.relative_to(root))
            is_test = any(name.startswith(folder) for folder in test_folders)
            if not (is_test and path.name.startswith("test_")):
                digest.update(name.encode() + b"\0" + path.read_bytes())
        self._common = digest.digest()

    def of(self, test_file: str) -> str:
        digest = hashlib.sha256(self._common + test_file.encode())
        digest.update((self.root / test_file).read_bytes())
        return digest.hexdigest()[:32]


def read(folder: Path, key: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((folder / f"{key}.json").read_text())
    except FileNotFoundError:
        return None
    return found


def _files(root: Path) -> list[Path]:
    return [
        path
        for top in root.iterdir()
        if top.name not in _NOT_READ and not top.name.startswith(".")
        for path in ([top] if top.is_file() else top.rglob("*"))
        if path.suffix in _KINDS
        and path.is_file()
        and not {"__pycache__", "mutation"} & set(path.relative_to(root).parts)
    ]
