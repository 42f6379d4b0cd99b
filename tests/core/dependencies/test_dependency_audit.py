"""Pinned versions that are known as vulnerable are found, and an audit of nothing is no success."""

from __future__ import annotations

import subprocess
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from core.dependencies import advisories, audit

SHOWN = """
id: PYSEC-2030-1
aliases: [GHSA-xxxx, CVE-2030-1]
details: "Anyone can read\\nwhat they shouldn't."
affected:
- package: {name: Some_Thing, ecosystem: PyPI}
  ranges:
  - {type: GIT, repo: https://example.com, events: [{introduced: "0"}]}
  - type: ECOSYSTEM
    events: [{introduced: "2.0"}, {fixed: 2.0.3}, {introduced: "0"}, {fixed: 1.4.9}]
  - {type: ECOSYSTEM, events: [{introduced: "3"}, {last_affected: "3.1"}]}
  versions: ["1.4", 2.0.1, 5.0.0, 0.1-ancient]
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of a database with one advisory, and one that was withdrawn."""
    folder = tmp_path / "vulns" / "some-thing"
    folder.mkdir(parents=True)
    (folder / "PYSEC-2030-1.yaml").write_text(SHOWN)
    (folder / "PYSEC-2030-2.yaml").write_text(SHOWN + "withdrawn: 2030-02-03T00:00:00Z\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "Add an advisory"]):
        subprocess.run(
            ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c", *command],
            check=True,
            env={"GIT_COMMITTER_DATE": "2030-02-01T23:00:00+00:00", "PATH": "/usr/bin:/bin"},
        )
    return tmp_path


def test_a_snapshot_keeps_which_versions_are_affected(checkout: Path) -> None:
    made = advisories.make(checkout, names={"some-thing", "other"}, source="https://example.com")
    path = checkout / "snapshot.json"
    advisories.save(made, path)
    snapshot = advisories.load(path)
    assert snapshot == made
    assert snapshot.date == date(2030, 2, 1)
    assert snapshot.packages["other"] == []
    [kept] = snapshot.packages["some-thing"]
    assert kept["id"] == "PYSEC-2030-1"
    assert kept["aliases"] == ["CVE-2030-1", "GHSA-xxxx"]
    # Inside a range, a version isn't listed as well; spellings that no one can pin are left out.
    assert kept["affected"][0]["versions"] == ["5.0.0"]
    affected = {
        version: bool(snapshot.about("Some.Thing", version))
        for version in ("0.0.1", "1.4.8", "1.4.9", "2.0", "2.0.3", "3.0", "3.1", "3.1.1", "5.0.0")
    }
    assert [version for version, known in affected.items() if known] == [
        *("0.0.1", "1.4.8", "2.0", "3.0", "3.1", "5.0.0")
    ]


@pytest.mark.tool
def test_an_old_version_is_found_and_what_was_skipped_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(
        "django==3.2.1 ; sys_platform == 'somewhere else'\n"
        "urllib3==2.8.0\n"
        "unheard-of==1.0\n"
        "requests @ https://example.com/requests.zip\n"
    )
    assert audit.main([str(path)]) == 1
    output = capsys.readouterr()
    assert "2 packages compared with the advisories up to 20" in output.out
    assert "2 skipped" in output.out
    assert "unheard-of: not pinned yet" in output.out
    assert "requests: URL requirements cannot be pinned" in output.out
    assert "django 3.2.1: PYSEC-2022-190, CVE-2022-28346," in output.err
    assert "urllib3" not in output.err
    assert "No known vulnerability" not in output.out


@pytest.mark.tool
def test_an_audit_that_skipped_everything_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("django @ https://example.com/django.zip\n")
    assert audit.main([str(path)]) == 1
    assert "Every package was skipped" in capsys.readouterr().err
    path.write_text("django>=4\n")
    assert audit.main([str(path)]) == 1
    assert "not pinned to an exact version" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("day", "outdated"), [(date(2020, 1, 1), True), (datetime.now(UTC).date(), False)]
)
def test_old_advisories_are_no_clean_bill(
    day: date,
    outdated: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    snapshot = advisories.Snapshot("https://example.com", "0" * 40, day, {"django": []})
    monkeypatch.setattr(audit, "load", lambda: snapshot)
    monkeypatch.setattr(audit, "audit", lambda *_: audit.Audit(audited=["django"]))
    assert audit.main([]) == 0
    output = capsys.readouterr().out
    assert ("WARNING: THE ADVISORIES ARE" in output) is outdated
    assert f"as of {day}." in output
    assert audit.main(["--max-age", "7"]) == int(outdated)


def test_only_an_accepted_advisory_may_stand_and_not_forever() -> None:
    today = date(2030, 5, 1)
    one = audit.Vulnerability("some-thing", "1.0", ("PYSEC-2030-1", "CVE-2030-1"), ())
    found = audit.Audit(audited=["some-thing"], vulnerabilities=[one])
    entry = audit.Accepted("some-thing", "CVE-2030-1", "We never call it.", date(2030, 5, 1))
    assert list(audit.problems(found, today=today, accepted=(entry,))) == []
    assert list(audit.problems(found, today=date(2030, 5, 2), accepted=(entry,))) == [str(one)]
    other = audit.Accepted("some-thing", "CVE-2030-9", "It was fixed.", date(2031, 1, 1))
    assert list(audit.problems(found, today=today, accepted=(entry, other))) == [
        "some-thing no longer has CVE-2030-9: remove it from ACCEPTED."
    ]
    assert list(audit.problems(found, today=today)) == [str(one)]
