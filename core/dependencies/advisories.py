"""A snapshot of the advisories about the packages that we pin, kept in the repository.

    git clone https://github.com/pypa/advisory-database
    python -m core.dependencies.advisories advisory-database

makes it again from a checkout of the Python Packaging Advisory Database. CI reads only the
snapshot, so that the same commit gives the same result, and no network is needed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from textwrap import shorten
from typing import Any, Final

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from core.dependencies.sbom import packages

ROOT: Final = Path(__file__).resolve().parent.parent.parent
SNAPSHOT: Final = Path(__file__).with_name("advisories.json")
REQUIREMENTS: Final = (ROOT / "requirements.txt", ROOT / "requirements-dev.txt")
SOURCE: Final = "https://github.com/pypa/advisory-database"
# Advisories about one package, as objects of the Open Source Vulnerability format.
Advisories = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The advisories of every package that was pinned when it was made; most have none."""

    source: str
    commit: str
    date: date
    packages: dict[str, Advisories]

    def about(self, name: str, version: str) -> Advisories:
        """Return the advisories that this version of the package is affected by."""
        wanted = Version(version)
        known = self.packages.get(canonicalize_name(name), [])
        return [advisory for advisory in known if _affects(advisory, wanted)]


def load(path: Path = SNAPSHOT) -> Snapshot:
    """Read a snapshot from its file."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return Snapshot(
        source=found["source"],
        commit=found["commit"],
        date=date.fromisoformat(found["date"]),
        packages=found["packages"],
    )


def make(checkout: Path, *, names: set[str], source: str) -> Snapshot:
    """Read the advisories about these packages from a checkout of the database."""
    commit, committed_at = _git(checkout, "show", "--no-patch", "--format=%H %cI", "HEAD").split()
    return Snapshot(
        source=source,
        commit=commit,
        date=datetime.fromisoformat(committed_at).date(),
        packages={name: _read(checkout / "vulns" / name, name) for name in sorted(names)},
    )


def save(snapshot: Snapshot, path: Path = SNAPSHOT) -> None:
    """Write it with one advisory a line, so that a change can be read."""
    head = {
        "source": snapshot.source,
        "license": "CC-BY-4.0",
        "commit": snapshot.commit,
        "date": snapshot.date.isoformat(),
    }
    lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    entries = []
    for name, found in snapshot.packages.items():
        advisories = ",\n".join(f"   {json.dumps(one, ensure_ascii=False)}" for one in found)
        entries.append(f"  {json.dumps(name)}: [" + (f"\n{advisories}\n  ]" if found else "]"))
    body = ",\n".join(entries)
    text = "\n".join(["{", *lines, ' "packages": {', body, " }", "}", ""])
    path.write_text(text, encoding="utf-8")


def pinned(files: tuple[Path, ...] = REQUIREMENTS) -> dict[str, str]:
    """Return the pinned packages of these files, with their versions."""
    return {
        canonicalize_name(package.name): package.version
        for path in files
        for package in packages(path.read_text(encoding="utf-8"))
    }


def _read(folder: Path, name: str) -> Advisories:
    # The only part that needs PyYAML, which installations have through drf-spectacular.
    import yaml

    found = []
    for path in sorted(folder.glob("*.yaml")):
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not told.get("withdrawn"):
            found.append(_shortened(told, name))
    return found


def _shortened(told: dict[str, Any], name: str) -> dict[str, Any]:
    """Keep what identifies the advisory and says which versions it is about."""
    affected = [
        one
        for one in told["affected"]
        if one["package"]["ecosystem"] == "PyPI"
        and canonicalize_name(one["package"]["name"]) == name
    ]
    ranges = [
        {"type": "ECOSYSTEM", "events": within["events"]}
        for one in affected
        for within in one.get("ranges", ())
        if within["type"] == "ECOSYSTEM"
    ]
    short = {
        "id": told["id"],
        "aliases": sorted(told.get("aliases", ())),
        "summary": shorten(told.get("summary") or told.get("details", ""), 100, placeholder=" …"),
        "affected": [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": ranges}],
    }
    # The database lists every version; those inside a range needn't be listed twice.
    listed = {_version(text) for one in affected for text in one.get("versions", ())} - {None}
    apart = sorted(str(version) for version in listed if version and not _affects(short, version))
    short["affected"][0]["versions"] = apart
    return short


def _affects(advisory: dict[str, Any], version: Version) -> bool:
    return any(
        str(version) in affected.get("versions", ())
        or any(_within(found["events"], version) for found in affected["ranges"])
        for affected in advisory["affected"]
    )


def _within(events: list[dict[str, str]], version: Version) -> bool:
    """Whether the last event up to this version opened a range, or closed one."""
    inside = False
    for kind, text in sorted(
        (pair for event in events for pair in event.items()), key=lambda pair: Version(pair[1])
    ):
        # "0" stands for the first version, even one before 0.
        if kind == "introduced":
            inside = inside or text == "0" or version >= Version(text)
        elif kind == "fixed":
            inside = inside and version < Version(text)
        elif kind == "last_affected":
            inside = inside and version <= Version(text)
    return inside


def _version(text: str) -> Version | None:
    """Return None for spellings from before the versions of today, which no one can pin."""
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _git(checkout: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(checkout), *arguments],  # noqa: S607  git of the path is the one meant
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def main(arguments: list[str]) -> int:
    """Make the snapshot again."""
    parser = argparse.ArgumentParser(prog="core.dependencies.advisories", description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--source", default=SOURCE, help="where the checkout is from")
    given = parser.parse_args(arguments)
    if not (given.checkout / "vulns").is_dir():
        parser.error(f"{given.checkout} has no folder vulns/.")
    snapshot = make(given.checkout, names=set(pinned()), source=given.source)
    save(snapshot)
    count = sum(map(len, snapshot.packages.values()))
    sys.stdout.write(
        f"{count} advisories about {len(snapshot.packages)} packages, up to {snapshot.date}.\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
