"""A warm pytest session, and forks of it: one per test file to map, one per mutant to judge.

The session has imported everything and has made the test database. A fork gets a copy of the
database, puts one mutated function's code in the place of the real one, and runs the tests that
reach it. What a module does while it is imported cannot be changed like that: such a mutant gets
a process of its own, which imports the mutated module. No file of the project is written.
"""

from __future__ import annotations

import builtins
import gc
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Final

import pytest

from tests.mutation import reach
from tests.mutation.mutants import PROBE, Mutant, mutated, probed

SURVIVED: Final = 0
KILLED: Final = 1
BROKEN: Final = 3
# A test gets this many times what it takes unchanged, and some seconds more.
_PATIENCE: Final = 10
_GRACE_S: Final = 20.0

# In the order of the files, and in one process.
PLAINLY: Final = ("-q", "-s", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist")

Ended = Callable[[int], None]


class Forks:
    """Up to `jobs` children side by side; each ends with a status."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._running: dict[int, Ended] = {}
        # Where a child can still say what broke once it has silenced its tests.
        self._stderr = os.dup(2)

    def start(self, work: Callable[[], int], ended: Ended) -> None:
        """Run the work in a child; `ended` hears its status here, later."""
        while len(self._running) >= self.jobs:
            self._wait()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            status = BROKEN
            try:
                status = work()
            except BaseException:  # noqa: BLE001  told, and its status says so
                os.write(self._stderr, traceback.format_exc().encode())
            finally:
                os._exit(status)
        self._running[pid] = ended

    def finish(self) -> None:
        while self._running:
            self._wait()

    def _wait(self) -> None:
        pid, status = os.wait()
        ended = self._running.pop(pid)
        # A child that a signal ended has exceeded its time.
        ended(os.waitstatus_to_exitcode(status))


class Databases:
    """The test database as the session made it, and copies of it."""

    def __init__(self, scratch: Path, config: pytest.Config) -> None:
        from django.db import connection, connections
        from pytest_django.plugin import blocking_manager_key

        self.scratch = scratch
        self._unblock = config.stash[blocking_manager_key].unblock
        self.name = str(connection.settings_dict["NAME"])
        self.vendor = str(connection.vendor)
        self.is_file = self.vendor == "sqlite"
        connections.close_all()
        if self.is_file:
            self._pristine = scratch / "pristine.sqlite3"
            shutil.copyfile(self.name, self._pristine)

    def copy(self, number: int) -> str:
        """Made before the fork, which must not inherit a connection."""
        if self.is_file:
            name = str(self.scratch / f"{number}.sqlite3")
            shutil.copyfile(self._pristine, name)
            return name
        name = f"{self.name}_{number}"
        self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{self.name}"')
        return name

    def use(self, name: str) -> None:
        from django.db import connection

        connection.settings_dict["NAME"] = name

    def drop(self, name: str) -> None:
        if self.is_file:
            for suffix in ("", "-wal", "-shm", "-journal"):
                Path(f"{name}{suffix}").unlink(missing_ok=True)
        else:
            self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        from django.db import connection

        with self._unblock(), connection._nodb_cursor() as cursor:
            cursor.execute(statement)


class Warm:
    """The pytest plugin. `work` is called once everything is collected and set up."""

    def __init__(
        self,
        root: Path,
        scratch: Path,
        modules: list[str],
        jobs: int,
        work: Callable[[Warm], None],
    ) -> None:
        self.root, self.scratch, self.modules, self.work = root, scratch, modules, work
        self.forks = Forks(jobs)
        self.errors: list[str] = []
        self.items: dict[str, pytest.Item] = {}
        self._order: dict[str, int] = {}
        self._reports: list[pytest.TestReport] = []
        self._functions: dict[tuple[str, str, int], list[FunctionType]] = {}
        self._number = 0

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.errors.append(str(report.longrepr))

    def pytest_internalerror(self, excrepr: object) -> None:
        self.errors.append(str(excrepr))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reports.append(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if self.errors:
            return True
        self.session = session
        self.items = {item.nodeid: item for item in session.items}
        # Tests that commit come after the others, as Django wants it; by file before that.
        self._order = {item.nodeid: _commits(item) for item in session.items}
        for module in self.modules:
            import_module(dotted(module))
        self._set_up_database(session)
        # The suite freezes what is loaded (tests/conftest.py), and what is frozen is not listed.
        gc.unfreeze()
        for found in gc.get_objects():
            if type(found) is FunctionType:
                code = found.__code__
                key = (code.co_filename, code.co_qualname, code.co_firstlineno)
                self._functions.setdefault(key, []).append(found)
        gc.collect()
        gc.freeze()
        self.work(self)
        self.forks.finish()
        return True

    def _set_up_database(self, session: pytest.Session) -> None:
        """By the first test that wants one: the fixture lives until the session ends."""
        first = next((i for i in session.items if "django_db_setup" in _fixtures(i)), None)
        self.databases: Databases | None = None
        if first is None:
            return
        shown = os.dup(2)
        silence(2)
        first.config.hook.pytest_runtest_protocol(item=first, nextitem=_NoTest(session))
        os.dup2(shown, 2)
        if failed := [report for report in self._reports if report.failed]:
            self.errors.append(f"{first.nodeid} fails as it is:\n{failed[0].longrepr}")
        self.databases = Databases(self.scratch, session.config)

    def fork(self, work: Callable[[Path], int], ended: Callable[[int, Path], None]) -> None:
        """The work in a fork with a database and a folder of its own."""
        self._number += 1
        folder = self.scratch / str(self._number)
        folder.mkdir()
        name = self.databases.copy(self._number) if self.databases else ""

        def child() -> int:
            if self.databases:
                self.databases.use(name)
            return work(folder)

        def over(status: int) -> None:
            ended(status, folder)
            if self.databases:
                self.databases.drop(name)
            shutil.rmtree(folder)

        self.forks.start(child, over)

    def run(self, tests: list[str], seconds: dict[str, float]) -> Iterator[tuple[str, bool, float]]:
        """Each test's id, whether it passed, and its time. Silent."""
        silence(2)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        chosen = [self.items[test] for test in tests]
        self.session._setupstate.teardown_exact(chosen[0])
        for item, following in zip(chosen, [*chosen[1:], None], strict=True):
            self._reports.clear()
            if limit := seconds.get(item.nodeid):
                signal.setitimer(signal.ITIMER_REAL, limit * _PATIENCE + _GRACE_S)
            began = time.perf_counter()
            # Without a next test the session's fixtures end, and with them the database.
            after = following or _NoTest(self.session)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            spent = time.perf_counter() - began
            yield item.nodeid, not any(report.failed for report in self._reports), spent

    def map(self, tests: list[str], modules: list[str], target: Path) -> int:
        """In a fork: write the rows of these tests, which are one file's."""
        reached: set[tuple[int, int]] = set()
        setattr(builtins, PROBE, reached.add)
        for number, module in enumerate(modules):
            self._put(probed(self.root, module, number))
        rows: dict[str, Any] = {}
        for test, is_good, spent in self.run(tests, {}):
            if is_good:
                lines: dict[str, list[int]] = {}
                for number, line in sorted(reached.copy()):
                    lines.setdefault(modules[number], []).append(line)
                rows[test] = {"seconds": round(spent, 3), "lines": lines}
            reached.clear()
        part = target.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(rows))
        part.replace(target)
        return SURVIVED if len(rows) == len(tests) else KILLED

    def judge(
        self, mutant: Mutant | None, tests: list[str], seconds: dict[str, float], folder: Path
    ) -> int:
        """In a fork: KILLED by the first test that fails, whose id is left in the folder."""
        ordered = sorted(tests, key=lambda test: self._order[test])
        if mutant:
            code = mutated(self.root, mutant)
            if mutant.is_at_import or not self._put(code):
                self._exec_fresh(mutant, ordered, folder)
        for test, is_good, _spent in self.run(ordered, seconds):
            if not is_good:
                (folder / "killer").write_text(test)
                return KILLED
        return SURVIVED

    def _put(self, code: CodeType) -> bool:
        """The mutated code into every function made of the real one; False if it cannot be."""
        pairs = [
            (function, inner)
            for inner in _inside(code)
            for function in self._functions.get(
                (inner.co_filename, inner.co_qualname, inner.co_firstlineno), ()
            )
        ]
        if any(len(f.__code__.co_freevars) != len(c.co_freevars) for f, c in pairs):
            return False
        for function, inner in pairs:
            function.__code__ = inner
        return bool(pairs)

    def _exec_fresh(self, mutant: Mutant, tests: list[str], folder: Path) -> None:
        """Go on as a new interpreter, which imports the mutated module."""
        from django.db import connection

        order = {
            "root": str(self.root),
            "module": mutant.module,
            "index": mutant.index,
            "database": str(connection.settings_dict["NAME"]) if self.databases else "",
            "tests": tests,
            "folder": str(folder),
        }
        (folder / "order.json").write_text(json.dumps(order))
        os.environ["VAR_DIR"] = str(folder)
        os.chdir(self.root)
        words = [sys.executable, "-m", "tests.mutation.fresh", str(folder / "order.json")]
        os.execv(words[0], words)  # noqa: S606


class _NoTest:
    """A next test with nothing in common with the one before but the session."""

    def __init__(self, session: pytest.Session) -> None:
        self.session = session

    def listchain(self) -> list[pytest.Session]:
        return [self.session]


class Replaced(MetaPathFinder):
    """Imports one module from the code in hand."""

    def __init__(self, root: Path, module: str, code: CodeType) -> None:
        self.name, self.path, self.code = dotted(module), str(root / module), code

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        code = self.code

        class Loader(SourceFileLoader):
            def get_code(self, fullname: str) -> CodeType:
                return code

        return spec_from_file_location(fullname, self.path, loader=Loader(fullname, self.path))


def silence(descriptor: int = 1) -> None:
    """Whatever is written to it from here on, also by C code and by children, is dropped."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def session(plugin: object, root: Path, tests: list[str]) -> int:
    """One pytest session in this process, quiet, in the order of the files."""
    os.chdir(root)
    before = os.dup(1)
    silence()
    try:
        return int(pytest.main([*PLAINLY, "--rootdir", str(root), *tests], plugins=[plugin]))
    finally:
        os.dup2(before, 1)
        os.close(before)


def map_missing(
    warm: Warm, keys: reach.Keys, folder: Path, say: Callable[[str], None]
) -> reach.Reach:
    """The map of all collected tests; what is not kept yet is run, file by file."""
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, list[str]] = {}
    for test in warm.items:
        files.setdefault(test.partition("::")[0], []).append(test)
    missing = [file for file in files if not (folder / f"{keys.of(file)}.json").exists()]
    if missing:
        say(f"Mapping {len(missing)} of {len(files)} test files …")
    failing = []

    def ended_of(file: str) -> Callable[[int, Path], None]:
        def ended(status: int, _folder: Path) -> None:
            if status != SURVIVED:
                failing.append(file)

        return ended

    def mapping(tests: list[str], target: Path) -> Callable[[Path], int]:
        return lambda _folder: warm.map(tests, warm.modules, target)

    # The longest first, as far as their number tells, so that none is left alone at the end.
    for file in sorted(missing, key=lambda file: -len(files[file])):
        warm.fork(
            mapping(files[file], folder / f"{keys.of(file)}.json"),
            ended_of(file),
        )
    warm.forks.finish()
    if failing:
        say(f"Some tests fail without a mutant and are left out: {', '.join(sorted(failing))}")
    found = reach.Reach()
    for file in files:
        rows = reach.read(folder, keys.of(file))
        found.add({test: row for test, row in (rows or {}).items() if test in warm.items})
    return found


def dotted(module: str) -> str:
    """orders/previews/__init__.py is orders.previews."""
    parts = Path(module).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _inside(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _inside(constant)


def _fixtures(item: pytest.Item) -> list[str]:
    names: list[str] = getattr(item, "fixturenames", [])
    marked = item.get_closest_marker("django_db")
    return [*names, "django_db_setup"] if marked or "db" in names else names


def _commits(item: pytest.Item) -> int:
    marker = item.get_closest_marker("django_db")
    transaction = bool(marker and marker.kwargs.get("transaction"))
    return int(transaction or bool({"transactional_db", "live_server"} & set(_fixtures(item))))
