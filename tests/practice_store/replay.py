"""Replays recorded requests of a real shop against the practice store and compares the answers.

    python -m tests.practice_store.replay FOLDER

FOLDER holds JSON files of requests with Shopify's answers. Ids, times, cursors, names of orders
and query cost are the shop's own and are mapped or left out; all else has to agree. The facts
that came out of it stand as tables in test_facts.py, which needs no files.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.test")

from shopify_sync.practice_store import execution, selling
from shopify_sync.practice_store.context import Context
from shopify_sync.practice_store.store import Store

SHOP = "demo.myshopify.com"
_GID = re.compile(r"gid://shopify/(\w+)/([\w-]+)(\?.*)?\Z")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT")
_OWN_NAME = re.compile(r"#\d+(-[FR]\d+)?\Z")
_LEFT_OUT = {"startCursor", "endCursor", "cursor", "extensions", "requestId", "id_"}


@dataclass
class Step:
    path: str
    query: str
    variables: dict[str, Any]
    expected: dict[str, Any]


@dataclass
class Outcome:
    step: Step
    differences: list[str]


@dataclass
class Replay:
    """One recording against one fresh shop."""

    version: str
    currency: str = "CAD"
    ids: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        selling.JOB_SECONDS = 0.0  # type: ignore[misc]
        self.store = Store([SHOP], allow_http=False)
        self.store.courier.send = lambda *a: None  # type: ignore[method-assign]
        self.store.world.shops[SHOP].currency = self.currency
        self.store.start()

    def run(self, step: Step) -> Outcome:
        variables = self._ours(step.variables)
        query = self._ours(step.query)

        def work(context: Context) -> dict[str, Any]:
            context.api_version = self.version
            return execution.execute(context, query, variables, None)

        answer = self.store.act(SHOP, work)
        time.sleep(0.02)
        plain = json.loads(json.dumps(answer, default=str))
        differences: list[str] = []
        self._compare(step.expected, plain, "", differences)
        return Outcome(step, differences)

    def _ours(self, value: Any) -> Any:
        if isinstance(value, str):
            for theirs, mine in self.ids.items():
                value = value.replace(theirs, mine)
            return value
        if isinstance(value, dict):
            return {k: self._ours(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self._ours(v) for v in value]
        return value

    def _compare(self, theirs: Any, mine: Any, path: str, found: list[str]) -> None:
        if isinstance(theirs, dict) and isinstance(mine, dict):
            for key in theirs.keys() | mine.keys():
                if key in _LEFT_OUT and not (key == "extensions" and "errors" in path):
                    continue
                self._compare(theirs.get(key), mine.get(key), f"{path}.{key}", found)
        elif isinstance(theirs, list) and isinstance(mine, list):
            if len(theirs) != len(mine):
                found.append(f"{path}: {len(theirs)} entries there, {len(mine)} here")
            for index, (a, b) in enumerate(zip(theirs, mine, strict=False)):
                self._compare(a, b, f"{path}[{index}]", found)
        elif not self._same(theirs, mine):
            found.append(f"{path}: {json.dumps(theirs)[:90]} there, {json.dumps(mine)[:90]} here")

    def _same(self, theirs: Any, mine: Any) -> bool:
        if theirs == mine:
            return True
        if not isinstance(theirs, str) or not isinstance(mine, str):
            return False
        there, here = _GID.match(theirs), _GID.match(mine)
        if there and here and there[1] == here[1] == "Job":
            return True
        if there and here and there[1] == here[1]:
            return self.ids.setdefault(theirs, mine) == mine
        if _TIME.match(theirs) and _TIME.match(mine):
            return True
        if theirs.isdigit() and mine.isdigit() and len(theirs) > 9:
            return True
        return bool(_OWN_NAME.match(theirs) and _OWN_NAME.match(mine)) or self._ours(theirs) == mine


def steps(recording: Any, path: str = "") -> Iterator[Step]:
    """Every request with its text and Shopify's answer, in the order it was recorded."""
    if isinstance(recording, list):
        for index, value in enumerate(recording):
            yield from steps(value, f"{path}[{index}]")
    if not isinstance(recording, dict):
        return
    request = recording.get("request") if isinstance(recording.get("request"), dict) else recording
    query = request.get("query") or request.get("document")
    answer = recording.get("response") or (recording.get("mutation") or {}).get("response")
    if isinstance(query, str) and "{" in query and isinstance(answer, dict):
        body = answer.get("payload") or answer.get("body") or answer
        variables = request.get("variables") or {}
        yield Step(
            path or "/", query, variables, {k: body[k] for k in ("data", "errors") if k in body}
        )
    for key, value in recording.items():
        if key not in {"upstreamCalls", "response", "request", "variables", "expected"} or (
            key == "expected" and isinstance(value, dict) and "body" not in value
        ):
            yield from steps(value, f"{path}/{key}")


def main(folder: str) -> int:
    total = agree = 0
    for file in sorted(Path(folder).glob("*.json")):
        replay = Replay(file.name.partition("_")[0])
        for step in steps(json.loads(file.read_text())):
            total += 1
            try:
                outcome = replay.run(step)
            except Exception as error:  # noqa: BLE001  a step that breaks us is a difference
                outcome = Outcome(step, [f"{type(error).__name__}: {error}"])
            if not outcome.differences:
                agree += 1
                continue
            print(f"{file.stem} {step.path}")
            for difference in outcome.differences[:4]:
                print(f"    {difference}")
        replay.store.stop()
    print(f"{total} steps, {agree} agree, {total - agree} differ")
    return 0


if __name__ == "__main__":
    import django

    django.setup()
    sys.exit(main(sys.argv[1]))
