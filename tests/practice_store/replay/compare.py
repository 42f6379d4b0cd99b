"""Replays recorded requests of a real shop against the practice store and compares the answers.

    python -m tests.practice_store.replay FOLDER [--differences]

FOLDER holds JSON files of requests with Shopify's answers. Ids, times, cursors, names of orders
and query cost are the shop's own and are mapped or left out; all else has to agree. The facts
that came out of it stand as tables in test_facts.py, which needs no files. It ends with 1 where
a file could not be replayed, or where money, a refusal, a return or a state differs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from graphql import FieldNode, TypeInfo, TypeInfoVisitor, Visitor, get_named_type, parse, visit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.test")

from practice_store.context import Context
from practice_store.graphql import execution, scalars
from practice_store.graphql.resolvers import RESOLVERS
from practice_store.sales import cancellation
from practice_store.store import Store
from shopify_sync.api import documents
from tests.practice_store.replay.recorded import Step, held_by, hydrations, roots, steps
from tests.practice_store.replay.seeding import seed

SHOP = "demo.myshopify.com"
_GID = re.compile(r"gid://shopify/(\w+)/([\w-]+)(\?.*)?\Z")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT")
_OWN_NAME = re.compile(r"#\d+(-[FR]\d+)?\Z")
_GIDS = re.compile(r"gid://shopify/Order/\d+")
_OWN_DATA = re.compile(
    r"[lL]ocation|accessScopes|\.name$|\.displayName$|\.nodes$|\.pageInfo|ustomersCount"
)
_MONEY = re.compile(r"amount|Set\b|Money|currency|transactions|gateway", re.IGNORECASE)
_STATE = re.compile(
    r"status|state|closed|cancel|quantity|Quantity|crash|refund|fulfillment", re.IGNORECASE
)
_PAGES = ("nodes", "edges", "node")
GRAVE = frozenset({"money", "refusals", "returns", "states"})
_LEFT_OUT = {"startCursor", "endCursor", "cursor", "extensions", "requestId", "id_"}


@dataclass
class Outcome:
    step: Step
    differences: list[str]
    # Of errors that only our answer has.
    codes: set[str] = field(default_factory=set)
    # The customer's money agrees, the shop's was converted by a rate of that day.
    is_at_another_rate: bool = False


@dataclass
class Replay:
    """One recording against one fresh shop."""

    version: str
    currency: str = "CAD"
    ids: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        patch.object(cancellation, "JOB_SECONDS", 0.0).start()
        self.store = Store([SHOP], allow_http=False)
        self.store.courier.send = lambda *a: None  # type: ignore[method-assign]
        self.store.world.shops[SHOP].currency = self.currency
        self.store.start()

    def run(self, step: Step) -> Outcome:
        variables = self._ours(step.variables)
        query = self._ours(step.query)

        def work(context: Context) -> dict[str, Any]:
            context.api_version = self.version
            answer = execution.execute(context, query, variables, None)
            if step.operation == "orderCreate":
                _without_stock(context)
            return answer

        answer = self.store.act(SHOP, work)
        time.sleep(0.02)
        plain = json.loads(json.dumps(answer, default=str))
        differences: list[str] = []
        self._compare(step.expected, plain, "", differences)
        codes = {str((e.get("extensions") or {}).get("code")) for e in plain.get("errors") or ()}
        converted = differences and all(".shopMoney.amount:" in line for line in differences)
        return Outcome(
            step,
            differences,
            codes if not step.expected.get("errors") else set(),
            is_at_another_rate=bool(converted) and "presentmentMoney" in step.query,
        )

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


def _without_stock(context: Context) -> None:
    """The recorded shop kept stock of none of its items, also of those with a variant; the
    practice shop gives each of its own a stock, as a merchant's would have."""
    for order in context.shop.orders.values():
        for line in order.lines:
            line.is_custom = True


@dataclass
class Report:
    """What came of a folder: by operation, and which files could not be replayed."""

    steps: Counter[str] = field(default_factory=Counter)
    agreements: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    files: dict[str, tuple[int, int]] = field(default_factory=dict)
    unreplayed: list[str] = field(default_factory=list)
    # Differences that would change what the product reads or does.
    grave: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)

    def add(self, file: str, outcome: Outcome) -> None:
        operation = outcome.step.operation
        self.steps[operation] += 1
        replayed, agreed = self.files[file]
        self.files[file] = (replayed + 1, agreed + (not outcome.differences))
        if not outcome.differences:
            self.agreements[operation] += 1
            return
        self.shown.append(f"{file} {outcome.step.path} ({operation})")
        for difference in outcome.differences:
            reason = reason_of(outcome, difference)
            self.reasons[operation][reason] += 1
            self.shown.append(f"    {reason}: {difference}")
            if reason in GRAVE:
                self.grave.append(f"{file} {outcome.step.path}: {difference}")

    def lines(self) -> Iterator[str]:
        yield f"{'operation':44} {'steps':>5} {'agree':>5}  differences by reason"
        for operation in sorted(self.steps):
            reasons = ", ".join(f"{n} {why}" for why, n in self.reasons[operation].most_common())
            yield f"{operation:44} {self.steps[operation]:5} {self.agreements[operation]:5}  {reasons}"
        for file, (replayed, agreed) in self.files.items():
            yield f"{file}: {replayed} steps, {agreed} agree"
        yield from (f"NOT REPLAYED {text}" for text in self.unreplayed)
        total, agreed = self.steps.total(), self.agreements.total()
        yield (
            f"{len(self.files)} files, {total} steps, {agreed} agree, {total - agreed} differ; "
            f"{len(self.grave)} differences in money, preconditions, returns or states; "
            f"{len(self.unreplayed)} requests not in their files"
        )


def reason_of(outcome: Outcome, difference: str) -> str:
    """Why an answer differs, as far as the answer tells."""
    path = difference.partition(":")[0]
    if not practised(outcome.step):
        return "not practised here"
    if outcome.codes & {"undefinedField", "undefinedType", "argumentNotAccepted"}:
        return "a field that only other versions or apps have"
    if "Something went wrong" in difference.partition(" there")[0]:
        return "Shopify's own failure"
    if path.endswith(".shopMoney.amount") and outcome.is_at_another_rate:
        return "the day's exchange rate"
    if _OWN_DATA.search(path):
        return "the shop's own data"
    if "serErrors" in path or path.startswith(".errors"):
        return "refusals"
    if not read_by_product(outcome.step, path):
        return "not read by the product"
    if _MONEY.search(path):
        return "money"
    if "return" in path.lower() or "disposition" in path.lower():
        return "returns"
    if _STATE.search(path):
        return "states"
    return "other"


def practised(step: Step) -> bool:
    """Whether a resolver here answers every root field of the request."""
    known = RESOLVERS.get("Mutation", {}).keys() | RESOLVERS.get("QueryRoot", {}).keys()
    return _is_text(step) or known >= set(roots(step.query).values())


def _is_text(step: Step) -> bool:
    """A request that is refused before its fields are looked at."""
    return step.operation == "refused requests"


@cache
def _fields_read() -> frozenset[tuple[str, str]]:
    """What the documents of the product ask for: (Type.field, field in it), pages skipped."""
    schema = scalars.schema()
    found: set[tuple[str, str]] = set()
    info = TypeInfo(schema)
    way: list[str] = [""]

    class Reader(Visitor):
        def enter_field(self, node: FieldNode, *_: Any) -> None:
            name, parent = node.name.value, info.get_parent_type()
            if name not in _PAGES:
                found.add((way[-1], name))
            way.append(way[-1] if name in _PAGES or parent is None else f"{parent.name}.{name}")

        def leave_field(self, *_: Any) -> None:
            way.pop()

    for name in documents.names():
        visit(parse(documents.load(name)), TypeInfoVisitor(info, Reader()))
    return frozenset(found)


def read_by_product(step: Step, path: str) -> bool:
    """Whether the product asks for what stands at this place of an answer; in doubt, yes."""
    words = re.findall(r"[A-Za-z_]\w*", path)
    if words[:1] != ["data"] or len(words) < 4:
        return True
    kind: Any = scalars.schema().type_map[
        "Mutation" if execution.is_mutation(step.query, None) else "QueryRoot"
    ]
    way = ""
    for depth, word in enumerate(words[1:]):
        name = roots(step.query).get(word, word) if not depth else word
        field = getattr(kind, "fields", {}).get(name)
        if field is None:
            return True
        # Below what a mutation returns: the shop's own objects, no matter where they are read.
        if depth > 2 and name not in _PAGES and (way, name) not in _fields_read():
            return False
        way = way if name in _PAGES else f"{kind.name}.{name}"
        kind = get_named_type(field.type)
    return True


def roots_of(step: Step) -> set[str]:
    return set() if _is_text(step) else set(roots(step.query).values())


def replay_folder(folder: Path) -> Report:
    report = Report()
    for file in sorted(folder.glob("*.json")):
        recording = json.loads(file.read_text())
        report.files[file.stem] = (0, 0)
        found = steps(recording)
        if not any(step.query for step in found):
            report.unreplayed.append(f"{file.stem}: nothing in it is a request")
            continue
        replay = Replay(file.name.partition("_")[0])
        made = set(
            _GIDS.findall(json.dumps([s.expected for s in found if "orderCreate" in s.query]))
        )
        replay.ids |= seed(replay.store, SHOP, [*hydrations(recording), *held_by(found)], made)
        for step in found:
            if step.trouble:
                report.unreplayed.append(f"{file.stem} {step.path}: {step.trouble}")
                continue
            try:
                outcome = replay.run(step)
            except Exception as error:  # noqa: BLE001  a step that breaks us is a difference
                outcome = Outcome(step, [f".crash: {type(error).__name__}: {error}"])
            report.add(file.stem, outcome)
        replay.store.stop()
    return report


def main(words: list[str]) -> int:
    """1 where a file could not be replayed, or a difference is one that the product would see."""
    parser = argparse.ArgumentParser(prog="python -m tests.practice_store.replay")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--differences", action="store_true", help="list each of them")
    options = parser.parse_args(words)
    report = replay_folder(options.folder)
    if options.differences:
        print("\n".join(report.shown))
    print("\n".join(report.lines()))
    if not report.files:
        print(f"{options.folder} holds no recordings (*.json).")
    empty = [file for file, (replayed, _agreed) in report.files.items() if not replayed]
    return 1 if not report.files or empty or report.grave else 0
