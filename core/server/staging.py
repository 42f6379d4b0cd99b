"""`./run staging`: what `./run serve` runs, and the practice store as the only shop.

Everything else is production's: its settings, PostgreSQL, Redis, the second factor, and the proxy in
front. The practice store keeps its shops in VAR_DIR.
"""

from __future__ import annotations

import os
import sys

from core.server.processes import (
    DEMO_SHOPS,
    Processes,
    Trouble,
    answers,
    must_be_free,
    port_number,
    until_it_is,
)
from core.server.serve import logs_folder, prepare, start_roles

_SETTINGS = "settings.staging"


def staging(arguments: list[str]) -> None:
    """Run every role and the practice store; one that ends is restarted on its own. Raises Trouble."""
    if os.environ.get("DJANGO_SETTINGS_MODULE") != _SETTINGS:
        raise Trouble(f"Staging has settings of its own: set DJANGO_SETTINGS_MODULE={_SETTINGS}.")
    port, store_port = port_number("PORT", 8000), port_number("STORE_PORT", 9292)
    for number in (port, store_port):
        must_be_free(number)
    prepare(for_web=True)
    folder = logs_folder()
    processes = Processes(folder)
    try:
        processes.start("practice-store", _practice_store(port, store_port, str(folder)))
        ledger = f"http://127.0.0.1:{store_port}/_practice/ledger"
        until_it_is(processes, lambda: answers(ledger), "the practice store")
        start_roles(processes, port)
        print(f"Staging serves port {port}; put HTTPS in front of it.", flush=True)
        print(f"The shops (practice store): http://127.0.0.1:{store_port}/_practice/")
        print("Connect them in the admin, as apps of your own organization:")
        for domain in DEMO_SHOPS:
            handle = domain.partition(".")[0]
            print(f"  {domain}: client ID practice-{handle}, secret shpss_practice_{handle}")
        sys.stdout.flush()
        processes.keep()
    finally:
        processes.stop()


def _practice_store(port: int, store_port: int, folder: str) -> list[str]:
    shops = [argument for shop in DEMO_SHOPS for argument in ("--shop", shop)]
    return [
        *(sys.executable, "manage.py", "practice_store", "--port", str(store_port)),
        *("--state", f"{folder}/practice-store.json", "--seed", "demo"),
        # What is subscribed is PUBLIC_URL, which may not be reachable from here.
        *("--through", f"http://127.0.0.1:{port}"),
        *shops,
    ]
