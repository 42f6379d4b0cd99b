"""The mutation tool itself, tried on a toy project."""

from __future__ import annotations

import builtins
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.mutation.mutants import PROBE, Mutant, draw, mutants_of, mutated, probed

pytestmark = pytest.mark.tool
ROOT = Path(__file__).resolve().parents[2]

TOY = '''\
"""A till."""

LIMIT = 100
NAMES = frozenset({"cash", "card"})


def limit() -> int:
    return LIMIT


def may_pay(amount: int, name: str) -> bool:
    """Checked on every line but the last."""
    if amount <= 0:
        raise ValueError("too little")
    return amount < limit() and name in NAMES


def checked_by_nobody(amount: int) -> int:
    return amount + 1


def reached_but_not_checked(seen: list[int]) -> None:
    seen.append(1)


def ends() -> bool:
    left = 3
    while left > 0:
        left -= 1
    return True
'''
TESTS = """\
import pytest

from till import may_pay, reached_but_not_checked, ends


@pytest.mark.parametrize(
    ("amount", "name", "wanted"),
    [(1, "cash", True), (99, "card", True), (100, "card", False), (101, "cash", False),
     (5, "shells", False)],
)
def test_may_pay(amount, name, wanted):
    assert may_pay(amount, name) is wanted


def test_nothing_is_too_little():
    for amount in (0, -1):
        with pytest.raises(ValueError):
            may_pay(amount, "cash")


def test_it_runs():
    reached_but_not_checked([])


def test_it_ends():
    assert ends() is True
"""
RUN = """\
import dataclasses, json, os, sys
from pathlib import Path
from tests.mutation import running
from tests.mutation.__main__ import Options, mutate

running._GRACE_S = 0.5
given = json.loads(sys.argv[1])
given["root"] = Path(given["root"])
given["equivalent"] = given["root"] / "equivalent.toml"
out = os.fdopen(os.dup(1), "w")
def say(text):
    pass
result = mutate(Options(modules=("till.py",), tests=("tests",), say=say, **given))
rows = {
    verdict: [dataclasses.asdict(m) | {'reach': 0} for m in mutants]
    for verdict, mutants in result.verdicts.items()
}
print(json.dumps({"rows": rows, "errors": result.errors, "clean": result.is_clean}), file=out, flush=True)
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    (tmp_path / "till.py").write_text(TOY)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_till.py").write_text(TESTS)
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    return tmp_path


def run(root: Path, **more: Any) -> dict[str, Any]:
    """The tool over the toy, in a process of its own: pytest does not run inside pytest."""
    without_django = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps({"root": str(root), **more})],
        cwd=ROOT,
        env={**without_django, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def changes(result: dict[str, Any], verdict: str, where: str) -> set[str]:
    return {row["change"] for row in result["rows"].get(verdict, []) if row["where"] == where}


def digest(root: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.is_file() and not {"var", "__pycache__"} & set(path.parts):
            found.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return found.hexdigest()


def test_it_reports_killed_survived_and_unreached(toy: Path) -> None:
    before = digest(toy)
    result = run(toy)
    assert not result["errors"]
    assert not result["clean"]
    assert changes(result, "survived", "may_pay") == set()
    assert len(changes(result, "killed", "may_pay")) >= 12
    assert changes(result, "survived", "reached_but_not_checked") == {
        "seen.append(1) → pass",
        "1 → 2",
    }
    assert "amount + 1 → amount - 1" in changes(result, "unreached", "checked_by_nobody")
    # What only an import does: the constant and the set are mutated in a fresh interpreter.
    assert changes(result, "killed", "module") == {
        "100 → 1",
        "{'cash', 'card'} → {'card'}",
        "{'cash', 'card'} → {'cash'}",
    }
    assert digest(toy) == before, "the project is as it was"


def test_a_mutant_that_never_ends_is_killed(toy: Path) -> None:
    result = run(toy, where="ends")
    assert "left -= 1 → pass" in changes(result, "killed", "ends")


def test_an_equivalent_mutant_is_counted_separately_and_a_false_claim_is_reported(
    toy: Path,
) -> None:
    row = (
        '[[mutant]]\nmodule = "till.py"\nwhere = "{where}"\nline = "{line}"\n'
        'change = "{change}"\nwhy = "{why}"\n'
    )
    entries = toy / "equivalent.toml"
    call = {"where": "reached_but_not_checked", "line": "seen.append(1)"}
    entries.write_text(
        row.format(**call, change="1 → 2", why="Unused.")
        + row.format(
            where="limit",
            line="return LIMIT",
            change="return LIMIT → return None",
            why="It is not, in truth.",
        )
    )
    result = run(toy, with_equivalents=True)
    assert changes(result, "equivalent", "reached_but_not_checked") == {"1 → 2"}
    assert changes(result, "not equivalent", "limit") == {"return LIMIT → return None"}

    entries.write_text(row.format(**call, change="7 → 8", why="It was there once."))
    assert "7 → 8" in str(run(toy, where="")["errors"]), "an entry that matches nothing is reported"

    entries.write_text(row.format(**call, change="1 → 2", why=""))
    with pytest.raises(AssertionError, match="say why"):
        run(toy)


def test_tests_that_fail_anyway_kill_no_mutant(toy: Path) -> None:
    """Negative control: a test that always fails would kill every mutant."""
    with (toy / "tests" / "test_till.py").open("a") as file:
        file.write("\n\ndef test_broken():\n    reached_but_not_checked([])\n    assert False\n")
    result = run(toy, where="reached")
    assert changes(result, "survived", "reached_but_not_checked") == {
        "seen.append(1) → pass",
        "1 → 2",
    }


def test_the_control_finds_tests_that_fail_beside_others(toy: Path) -> None:
    with (toy / "tests" / "test_till.py").open("a") as file:
        file.write("\n\nimport till\n\ndef test_it_leaves_something():\n    till.LEFT = 1\n")
    assert run(toy, where="reached", control=True)["errors"] == []
    (toy / "tests" / "test_second.py").write_text(
        "import till\n\ndef test_it_minds():\n    assert not hasattr(till, 'LEFT')\n"
    )
    (error,) = run(toy, where="reached", control=True)["errors"]
    assert "test_it_minds" in error


def test_a_collection_error_is_no_success(toy: Path) -> None:
    (toy / "tests" / "test_other.py").write_text("import no_such_module\n")
    result = run(toy)
    assert not result["clean"]
    assert "no_such_module" in str(result["errors"])


def test_the_draw_is_the_seeds_alone(toy: Path) -> None:
    mutants = mutants_of(toy, "till.py")
    keys = [mutant.key for mutant in draw(mutants, seed=1, size=8)]
    assert keys == [mutant.key for mutant in draw(mutants, seed=1, size=8)]
    assert keys != [mutant.key for mutant in draw(mutants, seed=2, size=8)]
    assert set(keys) <= {mutant.key for mutant in draw(mutants, seed=1, size=12)}

    # An edit elsewhere in the module leaves the draw as it was, but for what it takes part in.
    (toy / "till.py").write_text("import os\n\n\n" + TOY.replace("A till", "The till"))
    assert keys == [m.key for m in draw(mutants_of(toy, "till.py"), seed=1, size=8)]
    assert draw(mutants, seed=1, size=None) == mutants


SNIPPETS = {
    "if a and not b:\n    raise E": {
        "if a and (not b) → never",
        "if a and (not b) → always",
        "a and (not b) → a or not b",
        "a and (not b) → a",
        "a and (not b) → not b",
        "not b → b",
        "raise E → pass",
    },
    "x = a == b": {"a == b → a != b"},
    "x = a < b <= c": {"a < b <= c → a <= b <= c", "a < b <= c → a < b < c"},
    "x = a is None": {"a is None → a is not None"},
    "x = a if b else c": {"a if b else c → a", "a if b else c → c"},
    "x = rows.select_for_update().get(pk=1)": {".select_for_update() removed", "1 → 2"},
    "x = rows.filter(a=b, c=d)": {
        ".filter(a=b, c=d) removed",
        ".filter(a=b) dropped",
        ".filter(c=d) dropped",
    },
    "x = rows.update(state=a, at=b)": {".update(state=a) dropped", ".update(at=b) dropped"},
    "x = timedelta(hours=n)": {"timedelta(hours=n) times ten"},
    "with atomic():\n    f()": {"with atomic() removed", "f() → pass"},
    "order.deleted_at = now": {"order.deleted_at = now → pass"},
    "x = [a for a in b if c]": {"if c removed"},
    "x = any(a)": {"any(a) → all(a)"},
    "x = a - b": {"a - b → a + b"},
    "x = a(1, 250)": {"1 → 2", "250 → 1"},
    "try:\n    f()\nexcept E:\n    g()": {"f() → pass", "g() → pass", "except E: raise"},
    "x = a in {'b', 'c'}": {
        "a in {'b', 'c'} → a not in {'b', 'c'}",
        "{'b', 'c'} → {'b'}",
        "{'b', 'c'} → {'c'}",
    },
    "logger.info('%s', a if b else c)": set(),
    "x = _('Not %s')": set(),
    "assert a == b": set(),
}


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_the_changes(tmp_path: Path, snippet: str) -> None:
    body = "\n".join(f"    {line}" for line in snippet.splitlines())
    (tmp_path / "one.py").write_text(f"def one() -> None:\n{body}\n")
    mutants = mutants_of(tmp_path, "one.py")
    assert {mutant.change for mutant in mutants} == SNIPPETS[snippet]
    codes = {mutated(tmp_path, mutant).co_consts for mutant in mutants}
    assert len(codes) == len(mutants), "each is another code"


PROBED = '''\
def one(flag):
    """Says what it reached."""
    if flag:
        value = 1
    elif flag is None:
        value = 2
    else:
        try:
            value = flag / 0
        except TypeError:
            value = 3
    class Inner:
        """As it was."""
        def two(self):
            return value
    return Inner
'''


@pytest.mark.parametrize(
    ("flag", "lines"),
    [(1, {3, 4}), (None, {3, 5, 6}), ("", {3, 5, 8, 9, 11})],
)
def test_a_probe_tells_each_statement_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: Any, lines: set[int]
) -> None:
    (tmp_path / "one.py").write_text(PROBED)
    told: set[tuple[int, int]] = set()
    monkeypatch.setattr(builtins, PROBE, told.add, raising=False)
    names: dict[str, Any] = {}
    exec(probed(tmp_path, "one.py", 7), names)  # noqa: S102
    assert told == set()
    inner = names["one"](flag)
    assert told == {(7, line) for line in lines | {12, 14, 16}}
    assert inner().two() == {1: 1, None: 2, "": 3}[flag]
    assert (7, 15) in told
    assert names["one"].__doc__ == "Says what it reached."
    assert inner.__doc__ == "As it was."


USERS = """\
_PRIVATE = 1
_SHARED = 2
PUBLIC = 3
OTHER = _SHARED + 4


def one(value=5):
    if value:
        return _PRIVATE
    return _SHARED


def two():
    def inner():
        return _PRIVATE
    return inner
"""


def test_a_constant_is_checked_by_the_tests_of_those_that_use_it(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(USERS)
    reach = {
        mutant.change: mutant.reach
        for mutant in mutants_of(tmp_path, "one.py")
        if mutant.operator == "constant"
    }
    assert reach == {
        "1 → 2": {9, 15},
        # Another constant rests on it, or other modules may.
        "2 → 3": set(),
        "3 → 4": set(),
        "4 → 5": set(),
        "5 → 6": {8, 10},
    }


def test_the_last_line_is_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    from tests.mutation.__main__ import Result, conclude

    result = Result()
    row = Mutant("m.py", 0, "o", "f", 1, "x", "a → b", frozenset({1}), False)
    for verdict in ("killed", "killed", "equivalent"):
        result.add(verdict, row)
    assert conclude(result, 1.0) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 killed, 0 survived, 0 unreached"
    for verdict in ("survived", "unreached"):
        worse = Result(verdicts={verdict: [row]})
        assert conclude(worse, 1.0) == 1
