"""`./run mutate [module …]`: does the suite notice small faults in the code that moves money?

Each mutant is one change of one module; the tests that reach the changed line run against it.
It is killed when one of them fails or takes far too long. The list of equivalent mutants,
tests/mutation/equivalent.toml, names those that no test could tell from the original, and why.
Exits with 1 when a mutant that is not on it survives or is reached by no test.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.mutation import modules as lists
from tests.mutation import reach, running
from tests.mutation.mutants import LOCK, Mutant, draw, mutants_of

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Options:
    """What is asked for; `root`, `modules` and `tests` are another project's in our own tests."""

    root: Path = ROOT
    modules: tuple[str, ...] = lists.MODULES
    tests: tuple[str, ...] = lists.TESTS
    equivalent: Path = ROOT / "tests/mutation/equivalent.toml"
    seed: int = 1
    sample: int | None = None
    jobs: int = 1
    verbose: bool = False
    with_equivalents: bool = False
    control: bool = False
    where: str = ""
    operator: str = ""
    say: Callable[[str], None] = print


@dataclass
class Result:
    """The verdicts, by mutant."""

    verdicts: dict[str, list[Mutant]] = field(default_factory=dict)
    killers: dict[Mutant, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def add(self, verdict: str, mutant: Mutant) -> None:
        self.verdicts.setdefault(verdict, []).append(mutant)

    def count(self, verdict: str) -> int:
        return len(self.verdicts.get(verdict, ()))

    @property
    def is_clean(self) -> bool:
        bad = ("survived", "unreached", "broken", "not equivalent")
        return not self.errors and not any(self.count(verdict) for verdict in bad)


def mutate(options: Options) -> Result:
    """Draw, map, judge, and say what came of it."""
    result = Result()
    files = lists.expand(options.root, options.modules)
    possible = [mutant for file in files for mutant in mutants_of(options.root, file)]
    wanted = [m for m in possible if options.where in m.where and options.operator in m.operator]
    allowed = read_equivalents(options.equivalent)
    for key in allowed - {mutant.key for mutant in possible}:
        if key[0] in files:
            result.errors.append(f"The list of equivalent mutants has what is no mutant: {key}")
    chosen = draw(wanted, seed=options.seed, size=options.sample)
    options.say(
        f"{len(chosen)} of {len(wanted)} mutants of {len(files)} modules, seed {options.seed}"
    )

    # All of the project's are mapped, so that the map serves the next run of other modules.
    usual = lists.expand(options.root, lists.MODULES) if options.root == ROOT else []
    modules = sorted({*usual, *files})

    def work(warm: running.Warm) -> None:
        began = time.monotonic()
        # Some tests run on one database only.
        vendor = warm.databases.vendor if warm.databases else ""
        folders = lists.TESTS if options.root == ROOT else options.tests
        keys = reach.Keys(options.root, modules, folders, vendor)
        folder = options.root / "var" / "mutation"
        found = running.map_missing(warm, keys, folder, options.say)
        options.say(f"{len(found.seconds)} tests mapped in {time.monotonic() - began:.0f} s")
        if options.control:
            _control(warm, found, result, options)
        _judge_all(warm, found, chosen, allowed, result, options)

    # In memory where there is such a folder: thousands of small transactions wait for no disk.
    memory = Path("/dev/shm")  # noqa: S108  only where to make a folder of our own
    with tempfile.TemporaryDirectory(
        prefix="mutate-", dir=memory if os.access(memory, os.W_OK) else None
    ) as scratch:
        os.environ["VAR_DIR"] = scratch
        warm = running.Warm(options.root, Path(scratch), modules, options.jobs, work)
        code = running.session(warm, options.root, list(options.tests))
    result.errors += warm.errors
    if code not in {0, 5} and not result.errors:
        result.errors.append(f"pytest ended with {code}")
    return result


def _control(warm: running.Warm, found: reach.Reach, result: Result, options: Options) -> None:
    """No change at all has to survive every test, run as they are against a mutant."""
    tests = sorted(found.seconds, key=lambda test: (found.seconds[test], test))

    def ended(status: int, folder: Path) -> None:
        killer = folder / "killer"
        if status == running.SURVIVED:
            options.say(f"Control: {len(tests)} tests pass in one process without a mutant")
        else:
            by = killer.read_text() if killer.exists() else f"status {status}"
            result.errors.append(f"Control: without a mutant this kills as well: {by}")

    warm.fork(lambda folder: warm.judge(None, tests, found.seconds, folder), ended)
    warm.forks.finish()


def _judge_all(
    warm: running.Warm,
    found: reach.Reach,
    chosen: list[Mutant],
    allowed: set[tuple[str, str, str, str]],
    result: Result,
    options: Options,
) -> None:
    # What noticed a mutant of a function is the likeliest to notice the next one of it.
    noticed: dict[tuple[str, str], Counter[str]] = {}
    for mutant in chosen:
        is_allowed = mutant.key in allowed
        if is_allowed and not options.with_equivalents:
            result.add("equivalent", mutant)
            continue
        if mutant.operator == LOCK and warm.databases and warm.databases.is_file:
            result.add("left to PostgreSQL", mutant)
            continue
        tests = found.of(mutant)
        if not tests:
            result.add("unreached", mutant)
            options.say(_line("unreached", mutant))
            continue
        likely = noticed.setdefault((mutant.module, mutant.where), Counter())
        tests.sort(key=likely.__getitem__, reverse=True)
        _judge(warm, mutant, tests, found.seconds, likely, is_allowed, result, options)
    warm.forks.finish()


def _judge(
    warm: running.Warm,
    mutant: Mutant,
    tests: list[str],
    seconds: dict[str, float],
    likely: Counter[str],
    is_allowed: bool,
    result: Result,
    options: Options,
) -> None:
    began = time.monotonic()

    def ended(status: int, folder: Path) -> None:
        killer = folder / "killer"
        verdict = {running.SURVIVED: "survived", running.KILLED: "killed"}.get(status, "broken")
        by = killer.read_text() if killer.exists() else ""
        if status < 0:
            verdict, by = "killed", "time"
        elif by:
            likely[by] += 1
        if is_allowed:
            verdict = {"survived": "equivalent", "killed": "not equivalent"}.get(verdict, verdict)
        result.add(verdict, mutant)
        if options.verbose or verdict not in {"killed", "equivalent"}:
            spent = f"  [{time.monotonic() - began:.1f} s, {len(tests)} tests] {by}"
            options.say(_line(verdict, mutant) + spent)

    warm.fork(lambda folder: warm.judge(mutant, tests, seconds, folder), ended)


def read_equivalents(path: Path) -> set[tuple[str, str, str, str]]:
    """The keys on the list; each has to say why."""
    rows = tomllib.loads(path.read_text()).get("mutant", []) if path.exists() else []
    for row in rows:
        if not row.get("why", "").strip():
            raise ValueError(f"{path.name}: say why {row} is equivalent")
    return {(row["module"], row["where"], row["line"], row["change"]) for row in rows}


def _line(verdict: str, mutant: Mutant) -> str:
    return (
        f"{verdict:10} {mutant.module}:{mutant.line} {mutant.where}: {mutant.operator}\n"
        f"           line   {mutant.text}\n           change {mutant.change}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run mutate", description=__doc__)
    parser.add_argument("modules", nargs="*", help="files or folders; none: the money modules")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sample", type=int, help="how many mutants; without it, all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--in", dest="where", default="", help="functions whose name has this")
    parser.add_argument("--operator", default="", help="changes whose name has this: lock, time")
    parser.add_argument("--tests", nargs="*", help="only these files or folders of tests")
    parser.add_argument("--verbose", "-v", action="store_true", help="show the killed ones, too")
    parser.add_argument(
        "--with-equivalents",
        action="store_true",
        help="run those, too: one that is killed is not equivalent",
    )
    parser.add_argument(
        "--control", action="store_true", help="first run all the tests like that without a mutant"
    )
    words = parser.parse_args()
    # Kept apart from what the session and its tests print.
    shown = os.fdopen(os.dup(1), "w")
    options = Options(
        modules=tuple(words.modules) or lists.MODULES,
        seed=words.seed,
        sample=words.sample,
        jobs=words.jobs,
        verbose=words.verbose,
        with_equivalents=words.with_equivalents,
        control=words.control,
        where=words.where,
        operator=words.operator,
        tests=tuple(words.tests or lists.TESTS),
        say=lambda text: print(text, file=shown, flush=True),
    )
    began = time.monotonic()
    result = mutate(options)
    return conclude(result, time.monotonic() - began)


def conclude(result: Result, seconds: float) -> int:
    """Print the figures, the last line in words that scripts may read; the exit status."""
    for error in result.errors:
        print(error)
    killed, survived = result.count("killed"), result.count("survived")
    unreached = result.count("unreached")
    judged = killed + survived + unreached
    share = f", {100 * killed / judged:.1f} % of the others killed" if judged else ""
    print(f"{result.count('equivalent')} equivalent{share}, {seconds:.0f} s")
    for verdict in ("left to PostgreSQL", "broken", "not equivalent"):
        if count := result.count(verdict):
            print(f"{count} {verdict}")
    print(f"{killed} killed, {survived} survived, {unreached} unreached")
    return 0 if result.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
