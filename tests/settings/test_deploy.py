"""What deploy/ ships names commands, settings and addresses that exist."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.observability import probes
from core.server import processes, serve

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
COMMANDS = runpy.run_path(str(ROOT / "run"))["COMMANDS"]
SETTINGS = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "README.md").read_text()))


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def services_of_ours(compose: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in compose["services"].items() if "agent-inbox" in v["image"]}


def test_every_role_has_a_container(compose: dict[str, Any]) -> None:
    roles = {name: service["command"] for name, service in services_of_ours(compose).items()}
    assert set(roles) == {"migrate", "web", "worker", "scheduler"}
    for name, (command, *arguments) in roles.items():
        assert (command, arguments) == (name, [])
        assert command in COMMANDS


def test_containers_may_write_to_nothing_but_their_own_folders(compose: dict[str, Any]) -> None:
    for service in services_of_ours(compose).values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_containers_set_only_settings_that_exist(compose: dict[str, Any]) -> None:
    example = (DEPLOY / "env.example").read_text()
    asked = set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    for service in services_of_ours(compose).values():
        assert set(service["environment"]) <= SETTINGS
    # Two are the composition's own.
    assert asked - {"SITE", "POSTGRES_PASSWORD"} <= SETTINGS
    used = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    assert used <= asked | {"VERSION"}


def test_images_of_others_are_pinned_to_a_version(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert re.search(r":[\d$]|:\$\{VERSION", service["image"]), service["image"]


# Each Debian release's own PostgreSQL.
POSTGRESQL_OF = {"bookworm": "15", "trixie": "17"}


def test_the_image_can_back_up_the_compositions_database(compose: dict[str, Any]) -> None:
    """pg_dump refuses a newer server, and an older server refuses what a newer pg_restore writes."""
    image = (DEPLOY / "Containerfile").read_text()
    (release,) = re.findall(r"^ARG BASE=\S+-(\w+)$", image, re.MULTILINE)
    assert "postgresql-client " in image
    version = compose["services"]["database"]["image"].partition(":")[2].partition("-")[0]
    assert version == POSTGRESQL_OF[release]


def test_the_health_check_asks_a_probe(compose: dict[str, Any]) -> None:
    (asked,) = re.findall(r":8000(/\w+)", str(compose["services"]["web"]["healthcheck"]))
    assert asked in probes.PATHS


def test_the_proxy_streams_and_lets_go_of_idle_connections_first(compose: dict[str, Any]) -> None:
    caddy = (DEPLOY / "Caddyfile").read_text()
    assert "flush_interval -1" in caddy
    (seconds,) = re.findall(r"keepalive (\d+)s", caddy)
    assert int(seconds) < 75


def test_the_image_leaves_out_what_an_installation_does_not_run() -> None:
    ignored = (DEPLOY / "Containerfile.dockerignore").read_text().split()
    assert {".git", "tests", "var", ".venv"} <= set(ignored)
    for name in ("manage.py", "run", "requirements.txt", "templates", "orders", "inbox"):
        assert name not in ignored
    file = (DEPLOY / "Containerfile").read_text()
    assert re.search(r"^USER \d{4,}$", file, re.MULTILINE)


@pytest.mark.parametrize("is_given", [True, False], ids=["image", "control"])
def test_static_files_that_came_along_are_not_collected_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_given: bool
) -> None:
    """The image's file system is read-only."""
    ran: list[str] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        ran.append(command[2])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    monkeypatch.delenv("STATIC_ROOT", raising=False)
    if is_given:
        monkeypatch.setenv("STATIC_ROOT", "/opt/agent-inbox/static")
    monkeypatch.setattr(subprocess, "run", run)
    serve.prepare(for_web=True)
    assert ran == ["check", "migrate", *([] if is_given else ["collectstatic"])]


def lines(unit: Path, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)


def test_every_role_has_a_unit() -> None:
    wanted = " ".join(lines(DEPLOY / "systemd/agent-inbox.target", "Wants")).split()
    pools = {name.split("@")[1].split(".")[0] for name in wanted if "@" in name}
    assert pools == set(processes.POOLS)
    files = {re.sub(r"@\w+", "@", name) for name in wanted}
    assert files == {unit.name for unit in UNITS if unit.suffix == ".service"}
    for unit in UNITS:
        for start in lines(unit, "ExecStart"):
            role = start.removeprefix("/usr/bin/python3 run ").split()[0]
            assert role in COMMANDS
            assert role in unit.name


def test_units_are_restarted_and_end_as_a_whole() -> None:
    for unit in UNITS:
        if unit.suffix == ".service":
            assert lines(unit, "Restart") == ["always"]
            assert lines(unit, "KillMode") == ["mixed"]
            assert lines(unit, "StartLimitIntervalSec") == ["0"]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
@pytest.mark.parametrize("is_broken", [False, True], ids=["ours", "control"])
def test_systemd_accepts_the_units(tmp_path: Path, is_broken: bool) -> None:
    for unit in UNITS:
        text = unit.read_text()
        if is_broken:
            text = text.replace("ProtectSystem=strict", "ProtectSystm=strict")
        (tmp_path / unit.name).write_text(text)
    names = [path.name.replace("@.", "@money.") for path in tmp_path.iterdir()]
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names],
        cwd=tmp_path,
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    about_ours = [line for line in found.stderr.splitlines() if "agent-inbox" in line]
    assert bool(found.returncode or about_ours) is is_broken, found.stderr
