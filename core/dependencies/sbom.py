"""A bill of materials (CycloneDX 1.6) of what a release installs, and a check of its licenses.

    python -m core.dependencies.sbom [FILE]

Reads requirements.txt, which pins every package with its hashes and says who needs it, and the
licenses of what is installed. The same release gives the same bytes. Exits with 1 if a package is
installed in another version, or if its license isn't one of those below.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
# Licenses under which the product may be used and shipped beside MIT-licensed code. LGPL: psycopg
# is used as it is and can be replaced; MPL: certifi's and fido2's files stay as they are.
ALLOWED: Final = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "LGPL-3.0-only",
        "MIT",
        "MIT-0",
        "MPL-2.0",
        "PSF-2.0",
    }
)
# How packages that state no SPDX expression call them: in a classifier, or in their own words.
_SPELLINGS: Final = {
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD 3-Clause OR Apache-2.0": "BSD-3-Clause OR Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "New BSD": "BSD-3-Clause",
}
# Says nothing by itself; qrcode's own text is BSD.
_IGNORED: Final = frozenset({"Other/Proprietary License"})
# Files of other projects in our own static files, as in inbox/static/inbox/vendor/README.md.
COPIED: Final = (
    ("idiomorph", "0.8.0", "0BSD"),
    ("lucide-static", "1.62.0", "ISC"),
    ("@fontsource-variable/inter", "5.3.0", "OFL-1.1"),
)
_PIN: Final = re.compile(
    r"(?<![A-Za-z0-9._-])([A-Za-z0-9._-]{1,100})==([^\s;\\]{1,50})(?:\s*;\s*([^\\]{1,200}))?"
)
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")


class Refused(Exception):
    """The bill can't be written, or names a license that isn't allowed."""


@dataclass(slots=True)
class Package:
    """A pinned package. `needed_by` names the packages that require it; "" is the product itself."""

    name: str
    version: str
    marker: str = ""
    hashes: list[str] = field(default_factory=list)
    needed_by: list[str] = field(default_factory=list)

    @property
    def purl(self) -> str:
        """The package's URL, by which scanners know it."""
        return f"pkg:pypi/{self.name.lower()}@{self.version}"


def packages(requirements: str) -> list[Package]:
    """Parse what `uv pip compile --generate-hashes` wrote."""
    found: list[Package] = []
    for line in requirements.splitlines():
        text = line.strip()
        if pin := _PIN.match(line):
            found.append(Package(pin[1], pin[2], (pin[3] or "").strip()))
        elif digest := _HASH.match(text):
            found[-1].hashes.append(digest[1])
        elif found and text.startswith("#"):
            needed = text.removeprefix("#").strip().removeprefix("via").strip()
            if needed:
                found[-1].needed_by.append("" if needed.startswith("-r ") else needed)
    return found


def license_of(package: Package) -> str:
    """Return the license of the installed package as an SPDX expression.

    "" if it isn't installed because it is for another system. Raises Refused.
    """
    try:
        installed = metadata.distribution(package.name)
    except metadata.PackageNotFoundError:
        if package.marker:
            return ""
        raise Refused(f"{package.name} is not installed.") from None
    if installed.version != package.version:
        raise Refused(f"{package.name} {installed.version} is installed, {package.version} pinned.")
    expression = _expression(installed.metadata)
    unknown = [part for part in re.split(r" OR | AND ", expression) if part not in ALLOWED]
    # Of alternatives, one that is allowed is enough.
    if unknown and not (" OR " in expression and len(unknown) < expression.count(" OR ") + 1):
        raise Refused(
            f"{package.name} {package.version} has the license {expression or '(none)'!r}, which "
            "is not in core/dependencies/sbom.py. Look at it, then add it there or replace it."
        )
    return expression


def _expression(told: metadata.PackageMetadata) -> str:
    stated = _field(told, "License-Expression")
    if stated:
        return stated
    named = [
        text.rpartition(" :: ")[2]
        for text in told.get_all("Classifier") or []
        if text.startswith("License ::")
    ]
    kinds = [_SPELLINGS.get(name, name) for name in named if name not in _IGNORED]
    own = _field(told, "License")
    return " AND ".join(dict.fromkeys(kinds)) or _SPELLINGS.get(own, own)


def _field(told: metadata.PackageMetadata, name: str) -> str:
    return str(told[name]).strip() if name in told else ""


def bill(requirements: str, *, name: str, version: str) -> dict[str, Any]:
    """Return the bill of materials as JSON data. Raises Refused, with one line per problem."""
    found = packages(requirements)
    problems: list[str] = []
    components = []
    for package in found:
        try:
            components.append(_component(package, license_of(package)))
        except Refused as refused:
            problems.append(str(refused))
    if problems:
        raise Refused("\n".join(problems))
    components += [_copied(*row) for row in COPIED]
    product = f"{name}@{version}"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, product + requirements)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": product,
                "name": name,
                "version": version,
                "licenses": [{"license": {"id": "MIT"}}],
            }
        },
        "components": components,
        "dependencies": [
            *_dependencies(found, product, [_copied(*row)["bom-ref"] for row in COPIED]),
            *({"ref": _copied(*row)["bom-ref"], "dependsOn": []} for row in COPIED),
        ],
    }


def _component(package: Package, license_: str) -> dict[str, object]:
    found: dict[str, object] = {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{package.name}/{package.version}/",
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in package.hashes],
            }
        ],
    }
    if license_:
        found["licenses"] = [{"expression": license_}]
    return found


def _copied(name: str, version: str, license_: str) -> dict[str, Any]:
    purl = f"pkg:npm/{name.replace('@', '%40')}@{version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "licenses": [{"expression": license_}],
    }


def _dependencies(
    found: list[Package], product: str, copied: list[str]
) -> Iterator[dict[str, Any]]:
    refs = {package.name.lower(): package.purl for package in found} | {"": product}
    needs: dict[str, list[str]] = {ref: [] for ref in (product, *refs.values())}
    for package in found:
        for parent in package.needed_by:
            # "celery[redis]" is needed as celery.
            needs[refs[parent.partition("[")[0].lower()]].append(package.purl)
    needs[product] += copied
    for ref, depends_on in needs.items():
        yield {"ref": ref, "dependsOn": sorted(depends_on)}


def main(arguments: list[str]) -> int:
    """Write the bill to the named file, or print it."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "([^"]{1,40})"', project, re.MULTILINE)
    try:
        found = bill(
            (ROOT / "requirements.txt").read_text(encoding="utf-8"),
            name="agent-inbox",
            version=version[1] if version else "0",
        )
    except Refused as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    if arguments:
        Path(arguments[0]).write_text(text, encoding="utf-8")
        licenses = {
            entry["expression"] for c in found["components"] for entry in c.get("licenses", ())
        }
        sys.stdout.write(
            f"{len(found['components'])} packages. Licenses: {', '.join(sorted(licenses))}\n"
        )
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
