"""`./run bench [name …]`: run the benchmarks, each beside its baseline.

Writes bench/results.json: name, unit, ours, baseline, ratio, and whether lower or higher is better.
Absolute figures differ between machines; the ratio is the point.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.test")
FOLDER = Path(__file__).parent
# In the order in which they run: name and folder.
ENTRIES = {
    "webhook_ingest": "ingest",
    "webhook_ingest_sqlite": "ingest",
    "project_one": "projection",
    "project_batch": "projection",
    "backfill": "projection",
    "reconcile": "projection",
    "serving": "pages",
    "panel_fragment": "pages",
    "connecting": "pages",
    "running": "pages",
    "screen": "pages",
}
# Only if named: it builds large databases. Takes --rows.
APART = {"scale": "pages"}


def main(arguments: list[str]) -> int:
    """Run the named benchmarks, or all of them; return the exit status."""
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"{', '.join(ENTRIES)}; and {', '.join(APART)}")
    parser.add_argument("--rows", type=int, help="how many rows `scale` builds beside 10,000")
    given = parser.parse_args(arguments)
    wanted = given.names or list(ENTRIES)
    if unknown := set(wanted) - {*ENTRIES, *APART}:
        there_are = ", ".join((*ENTRIES, *APART))
        print(f"No benchmark {', '.join(sorted(unknown))}. There are: {there_are}.")
        return 2
    folders = ENTRIES | APART
    rows = []
    for name in wanted:
        options = {"rows": given.rows} if name == "scale" and given.rows else {}
        rows += [
            asdict(result) | {"ratio": round(result.ours / result.baseline, 3)}
            for result in importlib.import_module(f"bench.{folders[name]}.{name}").run(**options)
        ]
    (FOLDER / "results.json").write_text(json.dumps(rows, indent=2) + "\n")
    for row in rows:
        print(
            f"{row['name']:34} {row['ours']:>10.2f} {row['unit']:8} baseline {row['baseline']:>9.2f}"
            f"  ratio {row['ratio']:>7.2f}  {row['better']} is better · {row['against']}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
