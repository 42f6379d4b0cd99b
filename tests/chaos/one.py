"""One run of one case, in this process. `python -m tests.chaos` starts it."""

from __future__ import annotations

import argparse
import importlib
import json
import os
from pathlib import Path

import django


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("case")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--scale", type=float, required=True)
    parser.add_argument("--mutant", default="")
    parser.add_argument("--report", type=Path, required=True)
    options = parser.parse_args()
    django.setup()

    from django.conf import settings

    from tests.chaos.case import Case, Run
    from tests.chaos.installation import Installation
    from tests.support.servers.postgres_and_redis import Redis

    cases: list[Case] = importlib.import_module(options.module).CASES
    case = next(c for c in cases if c.id == options.case)
    folder = Path(settings.VAR_DIR)
    broker = None
    if port := os.environ["CHAOS_BROKER_PORT"]:
        broker = Redis(folder, int(port), is_embedded=case.broker == "embedded")
    installation = Installation(folder, broker=broker)
    if case.is_mean:
        installation.be_mean(options.seed)
    try:
        outcome = case.run(installation, Run(options.seed, options.scale, options.mutant))
    finally:
        installation.close()
        if broker:
            broker.kill()
    options.report.write_text(
        json.dumps(
            {
                "figures": outcome.figures,
                "broken": outcome.broken,
                "of": outcome.of,
                "damage": outcome.damage,
            }
        )
    )


if __name__ == "__main__":
    main()
