"""deploy/kubernetes: valid for Kubernetes, and the roles and settings of this version."""

from __future__ import annotations

import copy
import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from core.observability import probes
from core.server.processes import POOLS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/kubernetes"
# The versions that are supported today, and the newest of the validator.
VERSIONS = ("1.33", "1.35", "1.37")
SETTINGS = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "README.md").read_text()))


def listed() -> list[str]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    return list(found["resources"])


RESOURCES: list[dict[str, Any]] = [
    resource for name in listed() for resource in yaml.safe_load_all((FOLDER / name).read_text())
]


def of(kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in RESOURCES if one["kind"] == kind}


def templates() -> dict[str, dict[str, Any]]:
    """The pods of every deployment and job, by its name."""
    makers = of("Deployment") | of("Job")
    return {name: maker["spec"]["template"] for name, maker in makers.items()}


def test_every_file_is_applied() -> None:
    assert sorted([*listed(), "kustomization.yaml"]) == sorted(p.name for p in FOLDER.iterdir())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "resource", RESOURCES, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}"
)
def test_kubernetes_knows_every_field(resource: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(resource, version, strict=True)


def test_an_unknown_field_is_found() -> None:
    """Negative control."""
    broken = copy.deepcopy(of("Deployment")["web"])
    broken["spec"]["template"]["spec"]["containers"][0]["securityContxt"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[-1], strict=True)


def test_every_role_runs_in_pods_of_its_own() -> None:
    asked = {name: pod["spec"]["containers"][0]["args"] for name, pod in templates().items()}
    workers = {f"worker-{pool}": ["worker", pool] for pool in POOLS}
    single = {name: [name] for name in ("migrate", "web", "scheduler")}
    assert asked == single | workers
    commands = runpy.run_path(str(ROOT / "run"))["COMMANDS"]
    assert {role for role, *_pool in asked.values()} <= set(commands)
    scheduler = of("Deployment")["scheduler"]["spec"]
    assert (scheduler["replicas"], scheduler["strategy"]) == (1, {"type": "Recreate"})


def test_pods_may_write_to_nothing_but_their_own_folders() -> None:
    image = (ROOT / "deploy/Containerfile").read_text()
    for pod in templates().values():
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert f"USER {pod['spec']['securityContext']['runAsUser']}\n" in image
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}


def test_what_is_selected_exists() -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in templates().items()}
    for name, one in of("Deployment").items():
        assert one["spec"]["selector"]["matchLabels"] == labels[name]
    assert of("Service")["web"]["spec"]["selector"] == labels["web"]
    claims = set(of("PersistentVolumeClaim"))
    for pod in templates().values():
        asked = [volume.get("persistentVolumeClaim") for volume in pod["spec"]["volumes"]]
        assert {claim["claimName"] for claim in asked if claim} == claims


def test_probes_and_settings_are_of_this_version() -> None:
    (web,) = templates()["web"]["spec"]["containers"]
    asked = [
        web[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")
    ]
    assert set(asked) <= probes.PATHS
    assert asked[2] == "/readyz"
    # A database that is away for a while is no reason to start the web server again.
    assert asked[1] == "/livez"
    given = of("ConfigMap")["agent-inbox"]["data"]
    assert set(given) <= SETTINGS
    secret = re.findall(r"\b[A-Z]+_[A-Z_]+\b", (FOLDER / "settings.yaml").read_text())
    assert set(secret) - set(given) >= {"SECRET_KEY", "DATABASE_URL"}
    assert set(secret) <= SETTINGS


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("kubectl"), reason="needs kubectl")
def test_kustomize_builds_all_of_it() -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", str(FOLDER)], capture_output=True, text=True, check=True
    )
    found = list(yaml.safe_load_all(built.stdout))
    assert len(found) == len(RESOURCES)
    assert {one["metadata"].get("namespace", "agent-inbox") for one in found} == {"agent-inbox"}
    assert "image: agent-inbox\n" not in built.stdout
