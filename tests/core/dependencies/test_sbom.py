"""The bill of materials names what is pinned, and a license nobody has looked at stops it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.dependencies import sbom

REQUIREMENTS = (sbom.ROOT / "requirements.txt").read_text()


def made() -> dict[str, Any]:
    return sbom.bill(REQUIREMENTS, name="agent-inbox", version="1.2.3")


def test_every_pin_is_listed_with_its_hashes_and_license() -> None:
    found = {component["name"]: component for component in made()["components"]}
    pins = [line.split("==")[0] for line in REQUIREMENTS.splitlines() if "==" in line.split(";")[0]]
    copied = [name for name, _version, _license in sbom.COPIED]
    assert sorted(found) == sorted([*pins, *copied])
    django = found["django"]
    assert django["purl"] == f"pkg:pypi/django@{django['version']}"
    assert django["licenses"] == [{"expression": "BSD-3-Clause"}]
    [reference] = django["externalReferences"]
    assert all(digest["content"] in REQUIREMENTS for digest in reference["hashes"])
    assert len(reference["hashes"]) == 2


def test_copied_files_are_listed_in_their_version() -> None:
    told = (sbom.ROOT / "inbox/static/inbox/vendor/README.md").read_text()
    assert [f"`{name}` {version}" in told for name, version, _ in sbom.COPIED] == [True] * 3
    assert told.count("npm `") == len(sbom.COPIED)


def test_who_needs_what_is_a_closed_graph() -> None:
    bill = made()
    refs = {c["bom-ref"] for c in bill["components"]} | {"agent-inbox@1.2.3"}
    needs = {entry["ref"]: entry["dependsOn"] for entry in bill["dependencies"]}
    assert set(needs) == refs
    assert {ref for found in needs.values() for ref in found} == refs - {"agent-inbox@1.2.3"}


def test_the_same_release_gives_the_same_bytes() -> None:
    assert json.dumps(made()) == json.dumps(made())
    other = sbom.bill(REQUIREMENTS, name="agent-inbox", version="1.2.4")
    assert other["serialNumber"] != made()["serialNumber"]


@pytest.mark.parametrize(
    ("allowed", "refused"),
    [
        (sbom.ALLOWED - {"LGPL-3.0-only"}, "psycopg "),
        # Of two alternatives, one is enough: cryptography's other license stays.
        (sbom.ALLOWED - {"MPL-2.0"}, "certifi "),
    ],
)
def test_a_license_that_is_not_on_the_list_is_refused(
    allowed: frozenset[str], refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sbom, "ALLOWED", allowed)
    with pytest.raises(sbom.Refused) as problem:
        made()
    assert refused in str(problem.value)
    assert "cryptography" not in str(problem.value)


def test_another_version_than_pinned_is_refused() -> None:
    changed = REQUIREMENTS.replace("\ndjango==", "\ndjango==1.0.", 1)
    with pytest.raises(sbom.Refused, match="pinned"):
        sbom.bill(changed, name="agent-inbox", version="1")


def test_the_command_writes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sbom.json"
    assert sbom.main([str(path)]) == 0
    assert json.loads(path.read_text())["specVersion"] == "1.6"
    assert "packages. Licenses:" in capsys.readouterr().out
