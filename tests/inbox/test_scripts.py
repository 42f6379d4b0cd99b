"""Things that the scripts define in one place only."""

from __future__ import annotations

from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "inbox" / "static" / "inbox" / "js"


def test_ids_are_made_in_one_place() -> None:
    """IDs are unguessable, even without the crypto functions that pages without TLS lack."""
    makers = [file.name for file in SCRIPTS.glob("*.js") if "getRandomValues" in file.read_text()]
    assert makers == ["ids.js"]
    assert not any("crypto.randomUUID(" in file.read_text() for file in SCRIPTS.glob("*.js"))
