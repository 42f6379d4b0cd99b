"""Small faults to put into a module, one at a time, like a slip or a bad merge.

Logging, docstrings, annotations and the words of messages stay as they are: they decide nothing.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any, Final

_COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_TWINS: Final = {"any": "all", "all": "any", "min": "max", "max": "min"}
# Calls that narrow, lock or write rows: each of their arguments matters.
_QUERIES: Final = {"filter", "exclude", "get", "update", "get_or_create", "update_or_create", "Q"}
# Calls that give back what they were called on, narrowed, locked, ordered or normalized.
_LINKS: Final = {
    "select_for_update",
    "filter",
    "exclude",
    "active",
    "visible",
    "distinct",
    "order_by",
    "strip",
    "lower",
    "quantize",
}
_NOT_OURS: Final = {"_", "gettext", "gettext_lazy", "ngettext", "pgettext", "cast", "TypeVar"}
_LOGS: Final = {"log", "logger", "logging"}
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)

PROBE: Final = "__reached__"
# The operator that only PostgreSQL can judge: SQLite has no such locks.
LOCK: Final = "remove lock"

Change = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one module. `index` counts the changes that are possible in it."""

    module: str
    index: int
    operator: str
    where: str
    line: int
    text: str
    change: str
    # Lines of statements; one of them has to be reached (see `probed`). None: any in the module.
    reach: frozenset[int]
    is_at_import: bool

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What names it in the list of equivalent mutants; line numbers move too often."""
        return (self.module, self.where, self.text, self.change)

    def rank(self, seed: int, nth: int) -> str:
        """Its place in the draw. It depends on nothing else in the project, so that an edit
        elsewhere leaves the sample as it is."""
        return hashlib.sha256(repr((seed, *self.key, nth)).encode()).hexdigest()


@dataclass(slots=True)
class _Place:
    """Where the walk is: the function, the statement, and what is known about them."""

    names: tuple[str, ...] = ()
    function: str = ""
    statement: ast.stmt | None = None
    returns: str = ""


@dataclass(slots=True)
class _Site:
    operator: str
    node: ast.AST
    place: _Place
    change: str
    apply: Change


def mutants_of(root: Path, module: str) -> list[Mutant]:
    """Every change that is possible in the module, in the order of its text."""
    source = (root / module).read_text()
    lines = source.splitlines()
    tree = ast.parse(source)
    at_import = _called_at_import(tree)
    found = []
    for index, site in enumerate(_sites(tree)):
        node, statement = site.node, site.place.statement
        assert isinstance(node, ast.expr | ast.stmt | ast.ExceptHandler)
        assert statement is not None
        function = site.place.function
        if not function:
            reach = _users(tree, statement)
        elif isinstance(node, ast.ExceptHandler):
            reach = frozenset({node.body[0].lineno})
        else:
            reach = frozenset({statement.lineno})
        found.append(
            Mutant(
                module=module,
                index=index,
                operator=site.operator,
                where=function or "module",
                line=node.lineno,
                text=lines[node.lineno - 1].strip(),
                change=site.change,
                reach=reach,
                is_at_import=not function or function.partition(".")[0] in at_import,
            )
        )
    return found


def _users(tree: ast.Module, statement: ast.stmt) -> frozenset[int]:
    """Lines of the statements that an import-time statement decides about: of a function, its
    own; of a private constant, those that name it. None: that cannot be said."""
    if isinstance(statement, _FUNCTIONS):
        return frozenset(inner.lineno for inner in statement.body)
    name = ""
    if isinstance(statement, ast.Assign | ast.AnnAssign) and statement in tree.body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        name = target.id if isinstance(target, ast.Name) else ""
    if not name.startswith("_"):
        return frozenset()
    found: set[int] = set()

    def look(node: ast.AST, line: int) -> bool:
        """False: something else that is made at import has it."""
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
            found.add(line)
            return line > 0
        for field, value in ast.iter_fields(node):
            for child in value if isinstance(value, list) else [value]:
                inside = isinstance(node, _FUNCTIONS) and field == "body"
                here = child.lineno if isinstance(child, ast.stmt) and (line or inside) else line
                if isinstance(child, ast.AST) and not look(child, here):
                    return False
        return True

    return frozenset(found) if look(tree, 0) else frozenset()


def draw(mutants: list[Mutant], *, seed: int, size: int | None) -> list[Mutant]:
    """A sample that the seed decides; all of them, in order, without a size."""
    if size is None or size >= len(mutants):
        return mutants
    nth: dict[tuple[str, str, str, str], int] = {}
    ranked = []
    for place, mutant in enumerate(mutants):
        nth[mutant.key] = nth.get(mutant.key, 0) + 1
        ranked.append((mutant.rank(seed, nth[mutant.key]), place, mutant))
    chosen = sorted(ranked)[:size]
    return [mutant for _rank, _place, mutant in sorted(chosen, key=lambda row: row[1])]


def mutated(root: Path, mutant: Mutant | None, module: str = "") -> CodeType:
    """The module's code with the change in it. Nothing is written anywhere."""
    path = root / (mutant.module if mutant else module)
    tree = ast.parse(path.read_text())
    if mutant:
        for index, site in enumerate(_sites(tree)):
            if index == mutant.index:
                site.apply()
                break
    return compile(ast.fix_missing_locations(tree), str(path), "exec", dont_inherit=True)


def probed(root: Path, module: str, number: int) -> CodeType:
    """The module's code with a call before each statement of a function: the built-in named
    PROBE hears (number, line). That costs next to nothing outside of the module."""
    tree = ast.parse((root / module).read_text())

    def probe(before: ast.stmt) -> ast.stmt:
        told = ast.Tuple([ast.Constant(number), ast.Constant(before.lineno)], ast.Load())
        call = ast.Call(ast.Name(PROBE, ast.Load()), [told], [])
        return ast.fix_missing_locations(ast.copy_location(ast.Expr(call), before))

    def walk(node: ast.AST, inside: bool) -> None:
        inside = inside or isinstance(node, _FUNCTIONS)
        for _field, value in ast.iter_fields(node):
            children = value if isinstance(value, list) else [value]
            for child in children:
                if isinstance(child, ast.AST):
                    walk(child, inside)
            if inside and children and isinstance(children[0], ast.stmt):
                # A docstring stays the first statement.
                kept = value[:1] if _is_docstring(node, value[0]) else []
                value[:] = kept + [
                    each for child in value[len(kept) :] for each in (probe(child), child)
                ]

    walk(tree, inside=False)
    return compile(tree, str(root / module), "exec", dont_inherit=True)


def _is_docstring(node: ast.AST, first: ast.stmt) -> bool:
    return (
        isinstance(node, (*_FUNCTIONS, ast.ClassDef))
        and isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
    )


def _called_at_import(tree: ast.Module) -> set[str]:
    """Functions that the module calls, or decorates with, while it is imported."""
    found: set[str] = set()

    def look(node: ast.AST) -> None:
        if isinstance(node, ast.Lambda):
            return
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found.add(node.func.id)
        for field, value in ast.iter_fields(node):
            inside = isinstance(node, _FUNCTIONS) and field == "body"
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not inside:
                    if field == "decorator_list" and isinstance(child, ast.Name):
                        found.add(child.id)
                    look(child)

    look(tree)
    return found


def _sites(tree: ast.Module) -> Iterator[_Site]:
    yield from _block(tree.body, _Place())


def _block(body: list[ast.stmt], place: _Place) -> Iterator[_Site]:
    for position, statement in enumerate(list(body)):
        here = _Place(place.names, place.function, statement, place.returns)

        def replace(new: list[ast.stmt], at: int = position) -> Change:
            def apply() -> None:
                body[at : at + 1] = new

            return apply

        yield from _statement(statement, here, replace)


def _statement(
    node: ast.stmt, place: _Place, replace: Callable[[list[ast.stmt]], Change]
) -> Iterator[_Site]:
    def site(operator: str, new: list[ast.stmt], change: str) -> _Site:
        return _Site(operator, node, place, change, replace(new))

    gone: list[ast.stmt] = [ast.copy_location(ast.Pass(), node)]
    if isinstance(node, _FUNCTIONS):
        names = (*place.names, node.name)
        inner = _Place(
            (*names, "<locals>"),
            place.function or ".".join(names),
            node,
            ast.unparse(node.returns) if node.returns else "",
        )
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default is not None:
                yield from _expression(default, place, _setter(node.args, default))
        for decorator in node.decorator_list:
            if "atomic" in ast.unparse(decorator):
                outside = _Place(place.names, "", node)
                yield _Site(
                    "remove transaction",
                    decorator,
                    outside,
                    f"@{ast.unparse(decorator)} removed",
                    _remover(node.decorator_list, decorator),
                )
        yield from _block(node.body, inner)
        return
    if isinstance(node, ast.ClassDef):
        yield from _block(node.body, _Place((*place.names, node.name), place.function, node))
        return
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Assert):
        return
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).startswith("__"):
        return
    if isinstance(node, ast.Expr):
        if not isinstance(node.value, ast.Call) or _is_log(node.value):
            return
        yield site("remove call", gone, f"{_short(node)} → pass")
    elif isinstance(node, ast.Raise):
        yield site("remove raise", gone, f"{_short(node)} → pass")
    elif isinstance(node, ast.AugAssign):
        yield site("remove assignment", gone, f"{_short(node)} → pass")
        if new := _ARITHMETIC.get(type(node.op)):
            yield _Site(
                "arithmetic",
                node,
                place,
                f"{_short(node)}: {new.__name__}",
                _assign(node, "op", new()),
            )
    elif isinstance(node, ast.Assign) and isinstance(
        node.targets[0], ast.Attribute | ast.Subscript
    ):
        yield site("remove assignment", gone, f"{_short(node)} → pass")
    elif isinstance(node, ast.Break | ast.Continue):
        other = ast.Continue() if isinstance(node, ast.Break) else ast.Break()
        yield site("loop", [ast.copy_location(other, node)], f"{_short(node)} → {_short(other)}")
    elif isinstance(node, ast.Return) and node.value is not None:
        yield from _returned(node, place)
    elif isinstance(node, ast.With) and not any(item.optional_vars for item in node.items):
        what = ", ".join(ast.unparse(item) for item in node.items)
        yield site("remove with", node.body, f"with {what} removed")
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "decorator_list", "returns"}:
            continue
        if field in {"body", "orelse", "finalbody"}:
            yield from _block(value, place)
        elif field == "handlers":
            for handler in value:
                yield from _handler(handler, place)
        else:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.expr | ast.withitem | ast.match_case):
                    yield from _expression(child, place, _setter(node, child))


def _handler(node: ast.ExceptHandler, place: _Place) -> Iterator[_Site]:
    def apply() -> None:
        node.body = [ast.copy_location(ast.Raise(), node.body[0])]

    what = ast.unparse(node.type) if node.type else ""
    if not isinstance(node.body[0], ast.Raise):
        yield _Site("unhandled", node, place, f"except {what}: raise", apply)
    yield from _block(node.body, place)


def _returned(node: ast.Return, place: _Place) -> Iterator[_Site]:
    value = node.value
    others: list[bool | None] = [None]
    if isinstance(value, ast.Constant):
        # The constants of a bool are turned around below.
        others = [] if value.value is None or isinstance(value.value, bool) else [None]
    elif place.returns == "bool":
        others = [True, False]
    for other in others:
        new = ast.copy_location(ast.Constant(other), node)
        yield _Site(
            "return", node, place, f"{_short(node)} → return {other}", _assign(node, "value", new)
        )


def _expression(node: Any, place: _Place, put: Callable[[ast.expr], Change]) -> Iterator[_Site]:
    def site(operator: str, new: ast.expr, change: str = "") -> _Site:
        new = ast.copy_location(new, node)
        return _Site(operator, node, place, change or f"{_short(node)} → {_short(new)}", put(new))

    if isinstance(node, ast.Call):
        if _is_message(node) or _is_log(node):
            return
        yield from _call(node, place, site)
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield site("and/or", ast.BoolOp(other, node.values))
        for operand in node.values:
            rest = [value for value in node.values if value is not operand]
            new = rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
            yield site("drop operand", new)
    elif isinstance(node, ast.Compare):
        for place_of, operator in enumerate(node.ops):
            swapped = list(node.ops)
            swapped[place_of] = _COMPARISONS[type(operator)]()
            yield site("comparison", ast.Compare(node.left, swapped, node.comparators))
    elif isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.Not | ast.USub):
            yield site("drop not" if isinstance(node.op, ast.Not) else "sign", node.operand)
    elif isinstance(node, ast.IfExp):
        yield site("condition", node.body)
        yield site("condition", node.orelse)
    elif isinstance(node, ast.BinOp):
        other_type = _ARITHMETIC.get(type(node.op))
        if other_type and not _is_text(node):
            yield site("arithmetic", ast.BinOp(node.left, other_type(), node.right))
    elif isinstance(node, ast.Constant):
        yield from _constant(node, site)
    elif isinstance(node, ast.Set | ast.List) and len(node.elts) > 1:
        for element in node.elts:
            rest = [value for value in node.elts if value is not element]
            yield site(
                "drop element",
                type(node)(rest) if isinstance(node, ast.Set) else ast.List(rest, node.ctx),
            )
    if isinstance(place.statement, ast.If | ast.While) and node is place.statement.test:
        yield site("condition", ast.Constant(False), f"{_head(place.statement)} → never")
        if isinstance(place.statement, ast.If):
            yield site("condition", ast.Constant(True), f"{_head(place.statement)} → always")
    if isinstance(node, ast.Lambda | ast.JoinedStr):
        if isinstance(node, ast.Lambda):
            yield from _expression(node.body, place, _setter(node, node.body))
        return
    if isinstance(node, ast.comprehension):
        for test in node.ifs:
            yield _Site(
                "condition", test, place, f"if {_short(test)} removed", _remover(node.ifs, test)
            )
    for field, value in ast.iter_fields(node):
        if field == "slice" and isinstance(value, ast.Constant):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.expr | ast.comprehension | ast.withitem):
                yield from _expression(child, place, _setter(node, child))
            elif isinstance(child, ast.keyword):
                yield from _expression(child.value, place, _setter(child, child.value))


def _call(node: ast.Call, place: _Place, site: Callable[..., _Site]) -> Iterator[_Site]:
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if isinstance(node.func, ast.Name) and name in _TWINS and place.names:
        yield site(
            "any/all, min/max",
            ast.Call(ast.Name(_TWINS[name], ast.Load()), node.args, node.keywords),
        )
    is_query = name in _QUERIES or name in {"create", "bulk_create", "bulk_update", "save"}
    if is_query and len(node.args) + len(node.keywords) > 1:
        for argument in node.args:
            rest = [value for value in node.args if value is not argument]
            yield site(
                "drop argument",
                ast.Call(node.func, rest, node.keywords),
                f".{name}({_short(argument)}) dropped",
            )
        for keyword in node.keywords:
            others = [word for word in node.keywords if word is not keyword]
            yield site(
                "drop argument",
                ast.Call(node.func, node.args, others),
                f".{name}({_short(keyword)}) dropped",
            )
    if isinstance(node.func, ast.Attribute) and name in _LINKS:
        link = f".{name}({', '.join(map(ast.unparse, [*node.args, *node.keywords]))})"
        operator = LOCK if name == "select_for_update" else "remove link"
        yield site(operator, node.func.value, f"{link[:90]} removed")
    if name == "timedelta":
        for keyword in node.keywords:
            longer = ast.keyword(
                keyword.arg, ast.BinOp(keyword.value, ast.Mult(), _constant_of(10))
            )
            words = [longer if word is keyword else word for word in node.keywords]
            yield site("time", ast.Call(node.func, node.args, words), f"{_short(node)} times ten")


def _constant(node: ast.Constant, site: Callable[..., _Site]) -> Iterator[_Site]:
    value = node.value
    if isinstance(value, bool):
        yield site("constant", ast.Constant(not value))
    elif isinstance(value, int | float):
        # One more of many is no fault that anybody would notice, or mind.
        yield site("constant", ast.Constant(value + 1 if abs(value) < 10 else 1))


def _is_log(node: ast.Call) -> bool:
    return ast.unparse(node.func).partition(".")[0] in _LOGS


def _is_message(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id in _NOT_OURS


def _is_text(node: ast.BinOp) -> bool:
    """A sum of words, or a type like `int | None`."""
    sides = (node.left, node.right)
    return any(
        (isinstance(side, ast.Constant) and isinstance(side.value, str | None))
        or isinstance(side, ast.JoinedStr)
        for side in sides
    )


def _constant_of(value: int) -> ast.Constant:
    return ast.Constant(value)


def _setter(owner: ast.AST, child: ast.AST) -> Callable[[ast.expr], Change]:
    """What puts another expression in the child's place."""

    def put(new: ast.expr) -> Change:
        def apply() -> None:
            for field, value in ast.iter_fields(owner):
                if value is child:
                    setattr(owner, field, new)
                elif isinstance(value, list):
                    value[:] = [new if element is child else element for element in value]

        return apply

    return put


def _assign(owner: ast.AST, field: str, new: ast.AST) -> Change:
    return lambda: setattr(owner, field, new)


def _remover(among: list[Any], element: Any) -> Change:
    return lambda: among.remove(element)


def _head(node: ast.If | ast.While) -> str:
    return f"{'if' if isinstance(node, ast.If) else 'while'} {_short(node.test)}"


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(ast.fix_missing_locations(node)).split())
    return text if len(text) <= 100 else f"{text[:97]}..."
