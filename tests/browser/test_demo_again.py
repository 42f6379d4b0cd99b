"""The demo starts again after following the README's “Connecting a store”."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.support.browser.demo import ROOT, Demo, running_demo

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def manage(demo: Demo, *words: str) -> str:
    folder = demo.folder / "demo"
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "settings.dev",
        "VAR_DIR": str(folder),
        "DATABASE_URL": f"sqlite:///{folder / 'inbox.sqlite3'}",
        "SHOPIFY_ADMIN_ORIGIN": demo.store_url,
        "PUBLIC_URL": demo.url,
        "REDIS_URL": "",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=env,
        text=True,
        capture_output=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_a_store_that_was_connected_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    with running_demo(tmp_path) as demo:
        said = manage(
            demo,
            "connect_store",
            "--shop",
            "new.myshopify.com",
            "--client-id",
            "practice-new",
            "--secret",
            "shpss_practice_new",
        )
        assert "MISSING" not in said, said
        keys = (tmp_path / "demo" / "keys.json").read_text()
    with running_demo(tmp_path) as again:
        with urllib.request.urlopen(f"{again.url}/readyz") as answer:
            assert answer.status == 200
        assert (tmp_path / "demo" / "keys.json").read_text() == keys
