"""One mutant in an interpreter of its own: `python -m tests.mutation.fresh ORDER`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.mutation.mutants import mutants_of, mutated
from tests.mutation.running import BROKEN, KILLED, PLAINLY, SURVIVED, Replaced, silence


class OneMutant:
    """Uses the database that was copied for it, and notes the test that fails."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.database, self.folder = order["database"], Path(order["folder"])
        self.places = {test: place for place, test in enumerate(order["tests"])}

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self) -> None:
        from django.conf import settings

        if self.database:
            settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = self.database

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """The likeliest to fail come first, as asked for."""
        items.sort(key=lambda item: self.places[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            (self.folder / "killer").write_text(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            (self.folder / "killer").write_text(f"{report.nodeid} (import)")


def main(order_file: str) -> int:
    order = json.loads(Path(order_file).read_text())
    root = Path(order["root"])
    mutant = mutants_of(root, order["module"])[order["index"]]
    sys.meta_path.insert(0, Replaced(root, mutant.module, mutated(root, mutant)))
    silence(1)
    silence(2)
    words = [*PLAINLY, "-x", "--rootdir", str(root)]
    if order["database"]:
        words.append("--reuse-db")
    try:
        code = pytest.main([*words, *order["tests"]], plugins=[OneMutant(order)])
    except BaseException:  # noqa: BLE001  a mutant may raise anything
        # Not even the settings load.
        return KILLED
    if code in {pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}:
        return KILLED
    if code == pytest.ExitCode.OK:
        return SURVIVED
    return KILLED if (Path(order["folder"]) / "killer").exists() else BROKEN


if __name__ == "__main__":
    status = main(sys.argv[1])
    sys.stdout.flush()
    os._exit(status)
