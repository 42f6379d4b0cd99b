"""Compare what is pinned with the advisories in the repository, by pip-audit and without a network.

    python -m core.dependencies.audit [--max-age DAYS] [FILE ...]

pip-audit asks a server for advisories; ours listens on the loopback address for as long as the
audit takes, and answers from the snapshot. Exits with 1 if a pinned version is affected and isn't
in ACCEPTED, or if the audit itself can't be relied on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from core.dependencies.advisories import REQUIREMENTS, Snapshot, load, pinned

# Past this age a snapshot is warned about: SECURITY.md promises fixes of critical holes in 7 days.
WARN_AFTER_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class Accepted:
    """An advisory that may stand against a pinned package, why, and until when."""

    package: str
    advisory: str
    reason: str
    until: date


# Only for what doesn't concern us or has no fix yet. Say why, and when to look again.
ACCEPTED: Final[tuple[Accepted, ...]] = ()


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """An advisory that a pinned version is affected by."""

    package: str
    version: str
    ids: tuple[str, ...]
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        fixed = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "no fix is known"
        return f"{self.package} {self.version}: {', '.join(self.ids)}, {fixed}"


@dataclass(slots=True)
class Audit:
    """What an audit found. `skipped` has a reason for each package that wasn't compared."""

    audited: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    vulnerabilities: list[Vulnerability] = field(default_factory=list)


class Failed(Exception):
    """pip-audit could not do its work; the text says why."""


def audit(files: tuple[Path, ...], snapshot: Snapshot) -> Audit:
    """Run pip-audit on these requirements against the snapshot. Raises Failed."""
    with _served(snapshot) as url, tempfile.TemporaryDirectory() as scratch:
        told = _pip_audit(files, url=url, scratch=Path(scratch))
    found = Audit()
    for package in told:
        name = package["name"]
        if "skip_reason" in package:
            found.skipped[name] = package["skip_reason"]
        elif name not in snapshot.packages:
            found.skipped[name] = "not pinned yet when the snapshot was made"
        else:
            found.audited.append(name)
            found.vulnerabilities += [
                Vulnerability(
                    name,
                    package["version"],
                    (one["id"], *sorted(one["aliases"])),
                    tuple(one["fix_versions"]),
                )
                for one in package["vulns"]
            ]
    for name in pinned(files):
        if name not in found.audited and name not in found.skipped:
            found.skipped[name] = "pip-audit says nothing about it"
    return found


def problems(
    found: Audit, *, today: date, accepted: tuple[Accepted, ...] = ACCEPTED
) -> Iterator[str]:
    """Yield a sentence for each reason why these requirements must not be released."""
    if not found.audited:
        yield "Every package was skipped, so nothing was compared."
    used = set()
    for one in found.vulnerabilities:
        known = [a for a in accepted if a.package == one.package and a.advisory in one.ids]
        used.update(known)
        if not any(a.until >= today for a in known):
            yield str(one)
    for entry in accepted:
        if entry not in used:
            yield f"{entry.package} no longer has {entry.advisory}: remove it from ACCEPTED."


def _without_marker(line: str) -> str:
    """Drop an environment marker, such as "; sys_platform == 'win32'", from a pin."""
    pin, is_marked, _marker = line.partition(" ; ")
    if not is_marked or line.lstrip().startswith("#"):
        return line
    return pin + (" \\" if line.endswith("\\") else "")


def _pip_audit(files: tuple[Path, ...], *, url: str, scratch: Path) -> list[dict[str, Any]]:
    copies = []
    for number, path in enumerate(files):
        # Packages for other systems are installed somewhere, so they are compared as well.
        copy = scratch / f"{number}-{path.name}"
        lines = path.read_text(encoding="utf-8").splitlines()
        copy.write_text("\n".join(map(_without_marker, lines)) + "\n", encoding="utf-8")
        copies += ["--requirement", str(copy)]
    answer = scratch / "answer.json"
    service = ["--vulnerability-service", "osv", "--osv-url", url]
    output = ["--format", "json", "--output", str(answer), "--progress-spinner", "off"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip_audit", *copies, "--no-deps", "--disable-pip"),
            *(*service, *output, "--cache-dir", str(scratch / "cache")),
        ],
        env=os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    # 1 also means that something was found; only then is there an answer.
    if done.returncode not in (0, 1) or not answer.exists():
        raise Failed(f"pip-audit failed:\n{done.stderr.strip()}")
    told: list[dict[str, Any]] = json.loads(answer.read_text(encoding="utf-8"))["dependencies"]
    return told


@contextmanager
def _served(snapshot: Snapshot) -> Iterator[str]:
    """Answer the queries of the OSV API from the snapshot. Yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = snapshot.about(query["package"]["name"], query["version"])
            body = json.dumps({"vulns": found} if found else {}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep requests out of the output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _report(found: Audit, snapshot: Snapshot, *, days: int) -> str:
    known = sum(bool(snapshot.packages[name]) for name in found.audited)
    lines = [
        f"{len(found.audited)} packages compared with the advisories up to {snapshot.date} "
        f"({snapshot.source}, {snapshot.commit[:8]}); {known} of them have any.",
        f"{len(found.skipped)} skipped.",
        *(f"  {name}: {reason}" for name, reason in sorted(found.skipped.items())),
    ]
    if days > WARN_AFTER_DAYS:
        lines += [
            f"WARNING: THE ADVISORIES ARE {days} DAYS OLD.",
            f"Nothing that became known after {snapshot.date} can be found. Make the snapshot",
            "again as core/dependencies/advisories.py says.",
        ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Audit the files, print what was compared and what wasn't, and what is wrong."""
    parser = argparse.ArgumentParser(prog="core.dependencies.audit", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, default=REQUIREMENTS, metavar="FILE")
    parser.add_argument("--max-age", type=int, metavar="DAYS", help="fail on older advisories")
    given = parser.parse_args(arguments)
    snapshot = load()
    today = datetime.now(UTC).date()
    days = (today - snapshot.date).days
    try:
        found = audit(tuple(given.files), snapshot)
    except Failed as failed:
        sys.stderr.write(f"{failed}\n")
        return 1
    sys.stdout.write(_report(found, snapshot, days=days))
    wrong = list(problems(found, today=today))
    if given.max_age is not None and days > given.max_age:
        wrong.append(f"The advisories are {days} days old; {given.max_age} are allowed.")
    if wrong:
        sys.stderr.write("\n".join(wrong) + "\n")
        return 1
    sys.stdout.write(f"No known vulnerability, as of {snapshot.date}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
