"""`./run chaos`: every case, its figures, its seed and its negative controls.

Each run has a process, a database and a practice store of its own; three go side by side, as
they mostly wait. `./run chaos T4b` runs the cases whose id begins so; `--seed`, `--scale` and
`--no-mutants` repeat a failure.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django

from tests.chaos.case import Case
from tests.support.servers.postgres_and_redis import NotInstalled, Postgres, free_port

ROOT = Path(__file__).resolve().parents[2]
SIDE_BY_SIDE = 3
LONGEST_S = 1800
MIGRATED = "migrated.sqlite3"


@dataclass(frozen=True)
class Planned:
    case: Case
    module: str
    seed: int
    scale: float
    mutant: str = ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run chaos")
    parser.add_argument("cases", nargs="*", help="ids, or beginnings of ids; none: all")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    parser.add_argument("--scale", type=float, default=1.0, help="size, 1 is the claimed one")
    parser.add_argument("--no-mutants", action="store_true")
    options = parser.parse_args()
    # Only to list the cases; each runs in a process with settings of its own.
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.chaos.settings"
    django.setup()
    found = [
        (module, case)
        for module in modules()
        for case in importlib.import_module(module).CASES
        if not options.cases or any(case.id.startswith(word) for word in options.cases)
    ]
    if not found:
        print(f"No case begins with {' or '.join(options.cases)}.")
        return 2
    found.sort(key=lambda pair: -pair[1].takes_s)
    plan = [Planned(case, module, options.seed, options.scale) for module, case in found]
    if not options.no_mutants:
        plan += [
            Planned(case, module, options.seed, options.scale * case.mutant_scale, mutant)
            for module, case in found
            for mutant in case.mutants
        ]
    print(
        f"seed {options.seed}, {len(found)} cases, {len(plan) - len(found)} negative controls",
        flush=True,
    )
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        folder = Path(name)
        try:
            needs_pg = any(p.case.backend == "postgresql" for p in plan)
            postgres = Postgres(folder) if needs_pg else None
        except NotInstalled as error:
            print(error)
            return 1
        try:
            _migrate(folder, postgres, {p.case.backend for p in plan})
            with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
                beside = [planned for planned in plan if not planned.case.is_timed]
                verdicts = list(pool.map(lambda p: _run(p, folder, postgres), beside))
            alone = [planned for planned in plan if planned.case.is_timed]
            verdicts += [_run(planned, folder, postgres) for planned in alone]
        finally:
            if postgres:
                postgres.stop()
    failed = verdicts.count(False)
    minutes = (time.monotonic() - began) / 60
    print(
        f"{len(verdicts) - failed} passed, {failed} failed in {minutes:.1f} min (seed {options.seed})"
    )
    return 1 if failed else 0


def modules() -> list[str]:
    """Return every module of cases; each lists its CASES."""
    cases = Path(__file__).parent / "cases"
    return [f"tests.chaos.cases.{p.stem}" for p in sorted(cases.glob("[!_]*.py"))]


def _migrate(folder: Path, postgres: Postgres | None, backends: set[str]) -> None:
    """One database of each kind, which every run begins with a copy of."""
    for backend in sorted(backends):
        url = f"sqlite:///{folder / MIGRATED}"
        if backend == "postgresql" and postgres:
            url = postgres.url("migrated")
        env = os.environ | {"VAR_DIR": str(folder), "DATABASE_URL": url, "REDIS_URL": ""}
        command = [sys.executable, "manage.py", "migrate", "--skip-checks", "-v0"]
        subprocess.run(command, cwd=ROOT, env=env, check=True)


def _run(planned: Planned, folder: Path, postgres: Postgres | None) -> bool:
    """One case in its own process; prints its report in one piece."""
    case = planned.case
    own = Path(tempfile.mkdtemp(dir=folder))
    port = str(free_port()) if case.broker else ""
    broker_url = f"redis://127.0.0.1:{port}/0" if port else ""
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.chaos.settings",
        "VAR_DIR": str(own),
        "DATABASE_URL": f"sqlite:///{own / 'db.sqlite3'}",
        "REDIS_URL": broker_url,
        "CHAOS_BROKER_PORT": port,
    }
    if broker_url:
        env["CHAOS_BROKER_URL"] = broker_url
    if case.backend == "postgresql" and postgres:
        env["DATABASE_URL"] = postgres.url(f"c{secrets.token_hex(6)}", like="migrated")
    elif (migrated := folder / MIGRATED).exists():
        shutil.copyfile(migrated, own / "db.sqlite3")
    command = [
        sys.executable,
        "-m",
        "tests.chaos.one",
        planned.module,
        case.id,
        "--seed",
        str(planned.seed),
        "--scale",
        str(planned.scale),
        "--mutant",
        planned.mutant,
    ]
    began = time.monotonic()
    report = own / "report.json"
    with (own / "out.txt").open("wb") as sink:
        try:
            done = subprocess.run(
                [*command, "--report", str(report)],
                cwd=ROOT,
                env=env,
                stdout=sink,
                stderr=sink,
                timeout=LONGEST_S,
            )
            sink.write(f"\nended with {done.returncode}\n".encode())
        except subprocess.TimeoutExpired:
            sink.write(f"\nnot done after {LONGEST_S} s\n".encode())
    took = time.monotonic() - began
    outcome = json.loads(report.read_text()) if report.exists() else None
    text, is_good = _verdict(planned, outcome, (own / "out.txt").read_text(errors="replace"))
    print(f"{text}  [{took:.0f} s]", flush=True)
    return is_good


def _verdict(planned: Planned, outcome: dict[str, Any] | None, out: str) -> tuple[str, bool]:
    case = planned.case
    name = f"{case.id}" + (f" without “{planned.mutant}”" if planned.mutant else f" {case.title}")
    if outcome is None:
        return f"FAILED {name}: it did not finish\n{out[-3000:]}", False
    figures = ", ".join(f"{key} {value}" for key, value in outcome["figures"].items())
    broken = outcome["broken"]
    if planned.mutant:
        floor = case.mutants[planned.mutant]
        is_good = outcome["damage"] >= floor and bool(broken)
        word = "ok     " if is_good else "FAILED "
        return (
            f"{word}{name}: breaks {len(broken)} of {outcome['of']} "
            f"({outcome['damage']:.0%}, at least {floor:.0%} wanted); {figures}",
            is_good,
        )
    if not broken:
        return f"ok     {name}: {figures}", True
    some = "\n".join(f"       - {sentence}" for sentence in broken[:10])
    return f"FAILED {name}: {figures}; {len(broken)} broken:\n{some}", False


if __name__ == "__main__":
    sys.exit(main())
