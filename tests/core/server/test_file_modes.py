"""What the product writes is for its own user: no other account of the machine reads it."""

from __future__ import annotations

import importlib.util
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core import management

from core.server import __main__ as commands
from core.server import private_files, serve

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def readable_by_others(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if mode(p) & 0o077)


def write(folder: Path) -> None:
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "inbox.sqlite3").write_text("rows")


def test_the_processes_write_for_their_own_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(commands.ALL, "try", lambda _: write(tmp_path))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["core.server", "try"])
    assert commands.main() == 0
    assert readable_by_others(tmp_path) == []
    assert mode(tmp_path / "inbox.sqlite3") == 0o600
    assert mode(tmp_path / "logs") == 0o700


def test_so_do_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("manage", ROOT / "manage.py")
    assert spec is not None
    assert spec.loader is not None
    manage = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(manage)
    monkeypatch.setattr(management, "execute_from_command_line", lambda _: write(tmp_path))
    manage.main()
    assert readable_by_others(tmp_path) == []


def test_what_an_earlier_version_wrote_is_corrected(tmp_path: Path) -> None:
    """The control is its first half: that is how files were written before."""
    folder = tmp_path / "var"
    (folder / "demo" / "mail").mkdir(parents=True)
    (folder / "static" / "css").mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("not ours")
    for name in ("inbox.sqlite3", "web.log", "demo/mail/1.eml", "static/css/base.css"):
        (folder / name).write_text("text")
    (folder / "link").symlink_to(elsewhere)
    assert "demo/mail/1.eml" in readable_by_others(folder)
    assert private_files.private_folder(folder) == folder
    assert [p for p in readable_by_others(folder) if not p.startswith(("static", "link"))] == []
    assert mode(folder) == 0o700
    assert mode(folder / "static" / "css" / "base.css") == 0o644
    assert mode(elsewhere) == 0o644


@pytest.mark.parametrize("for_web", [True, False])
def test_another_user_may_read_static_files_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, for_web: bool
) -> None:
    """A web server in front that serves /static/ runs as a user of its own."""
    folder = tmp_path / "var"
    monkeypatch.setenv("VAR_DIR", str(folder))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: collect(folder))
    os.umask(private_files.UMASK)
    serve.prepare(for_web=for_web)
    static = folder / "static"
    assert mode(folder) == 0o711, "others pass through, and can't list what is there"
    assert {mode(p) for p in (static, *static.rglob("*")) if p.is_dir()} == {0o755}
    assert {mode(p) for p in static.rglob("*.css*")} == {0o644}
    assert [p for p in readable_by_others(folder) if not p.startswith("static")] == []


def collect(folder: Path) -> subprocess.CompletedProcess[bytes]:
    """Write as `collectstatic` does: folders 0755, files 0644, but compressed copies by the umask."""
    css = folder / "static" / "css"
    css.mkdir(parents=True, exist_ok=True)
    (css / "base.css.gz").write_text("compressed")
    (css / "base.css").write_text("text")
    (css / "base.css").chmod(0o644)
    write(folder)
    return subprocess.CompletedProcess([], 0)


def test_static_files_elsewhere_keep_their_modes(tmp_path: Path) -> None:
    """A link in their place, or among them, may lead to what is private."""
    private = tmp_path / "private"
    private.mkdir(0o700)
    (private / "keys.json").write_text("secret")
    (private / "keys.json").chmod(0o600)
    for name in ("one", "two/static"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "one" / "static").symlink_to(private)
    (tmp_path / "two" / "static" / "more").symlink_to(private)
    (tmp_path / "two" / "static" / "keys.json").symlink_to(private / "keys.json")
    for name in ("one", "two"):
        private_files.var_folder(tmp_path / name)
        assert (mode(private), mode(private / "keys.json")) == (0o700, 0o600)
