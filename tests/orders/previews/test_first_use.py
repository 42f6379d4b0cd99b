"""The first proposals of a process may be read by several threads at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
# msgspec looks at a type when it is first used; without care, in several threads at once.
RACE = """
import sys, threading

import django
django.setup()
import msgspec
from orders.previews.proposals import Proposal, decode_proposal

sys.setswitchinterval(1e-6)
start = threading.Barrier(20)

def read() -> None:
    start.wait()
    try:
        decode_proposal({})
    except ValueError:
        pass

threads = [threading.Thread(target=read) for _ in range(20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.slow
def test_threads_that_read_the_first_proposals_do_not_crash_the_process() -> None:
    """One process in four died of a segmentation fault, for as long as nothing had looked at the
    type before (tried by hand; a control that crashes by chance would be one by chance)."""
    env = os.environ | {"DJANGO_SETTINGS_MODULE": "settings.test"}
    ends = {
        subprocess.run([sys.executable, "-c", RACE], cwd=ROOT, env=env, check=False).returncode
        for _ in range(12)
    }
    assert ends == {0}
