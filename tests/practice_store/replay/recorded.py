"""Read recordings of a real shop: requests and responses in a file of any shape.

Some files hold answers without the request's text; it is then written from the answer, whose
fields say what was asked, and the schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    GraphQLInputType,
    GraphQLNonNull,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    get_named_type,
    is_leaf_type,
    parse,
)
from graphql.type import GraphQLObjectType, GraphQLUnionType

from practice_store.graphql.scalars import schema

Json = dict[str, Any]
PAGE = 50


@dataclass
class Step:
    """One request. `trouble`: why it cannot be made; then there is no query."""

    path: str
    query: str
    variables: Json
    expected: Json
    trouble: str = ""

    @property
    def operation(self) -> str:
        """The root fields' names, by which the report groups."""
        names = list(roots(self.query).values()) if _is_readable(self.query) else []
        return names[0] if names else "refused requests"


def steps(recording: Json) -> list[Step]:
    """Every request of a file with Shopify's answer, in the order it was recorded."""
    found = list(_inside(recording, "", "", {}))
    others = [json.dumps(step.expected.get("data")) for step in found if step.path != "/"]
    # A recording's own answer may repeat that of one of its requests.
    found = [s for s in found if s.path != "/" or json.dumps(s.expected.get("data")) not in others]
    if not found:
        # What the recorder itself had to ask: real requests, too.
        calls = recording.get("upstreamCalls") or ()
        found = [step for n, call in enumerate(calls) for step in _inside(call, f"/{n}", "", {})]
    return found


def _is_readable(text: str) -> bool:
    try:
        return bool(parse(text))
    except GraphQLSyntaxError:
        return False


def held_by(found: list[Step]) -> Iterator[Json]:
    """Orders that only the answers show; the first answer of each is where it began."""
    for step in found:
        yield from _orders_in(step.expected)


def _orders_in(value: Any) -> Iterator[Json]:
    if isinstance(value, dict):
        if str(value.get("id") or "").startswith("gid://shopify/Order/"):
            yield {"order": value}
        for part in value.values():
            yield from _orders_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from _orders_in(part)


def hydrations(recording: Any) -> Iterator[Json]:
    """What the shop held before: the answers that the recorder read for itself."""
    if isinstance(recording, dict):
        for call in recording.get("upstreamCalls") or ():
            yield _body(call.get("response") or {}).get("data") or {}
        for key, value in recording.items():
            if key == "hydrate" and isinstance(value, dict):
                yield _body(value.get("response") or {}).get("data") or {}
            elif key != "upstreamCalls":
                yield from hydrations(value)


def _inside(found: Any, path: str, text: str, variables: Json) -> Iterator[Step]:
    if isinstance(found, list):
        for index, value in enumerate(found):
            yield from _inside(value, f"{path}[{index}]", text, variables)
    if not isinstance(found, dict):
        return
    request = found["request"] if isinstance(found.get("request"), dict) else found
    own = request.get("query") or request.get("document") or ""
    text = own if isinstance(own, str) and "{" in own else text
    given = request.get("variables")
    variables = given if isinstance(given, dict) else variables
    body = _body(found.get("response") or {})
    for key, value in found.items():
        if key == "response" and body:
            yield _step(path or "/", text, variables, body)
        if key in {"upstreamCalls", "request", "response", "variables", "hydrate", "cleanup"}:
            continue
        yield from _inside(value, f"{path}/{key}", text, variables)


def _body(response: Json) -> Json:
    """The GraphQL answer inside what was recorded of the response."""
    for name in ("payload", "body"):
        if isinstance(response.get(name), dict):
            response = response[name]
    return {key: response[key] for key in ("data", "errors") if key in response}


def _step(path: str, text: str, variables: Json, body: Json) -> Step:
    if text and asks_for(text, body):
        return Step(path, text, _completed(text, variables, body), body)
    data = {key: value for key, value in (body.get("data") or {}).items() if _root(key)}
    if not data:
        return Step(path, "", variables, body, "the file holds neither its text nor its fields")
    kind = _root(next(iter(data)))
    data = {key: value for key, value in data.items() if _root(key) == kind}
    variables = dict(variables)
    return Step(path, document(kind, data, variables), variables, {"data": data})


def asks_for(text: str, body: Json) -> bool:
    """Whether an answer can be this request's: a text further out may be another's."""
    if not _is_readable(text):
        return True
    data = body.get("data")
    return not data or set(data) <= roots(text).keys()


def roots(text: str) -> dict[str, str]:
    """The root fields of a request, by the names under which they are answered."""
    for definition in parse(text).definitions:
        if isinstance(definition, OperationDefinitionNode):
            fields = definition.selection_set.selections
            return {
                (f.alias or f.name).value: f.name.value for f in fields if isinstance(f, FieldNode)
            }
    return {}


def _completed(text: str, variables: Json, body: Json) -> Json:
    """The variables, with those that were not written down, as far as the answer tells them."""
    if not _is_readable(text):
        return variables
    found = dict(variables)
    data = body.get("data") or {}
    name = next(iter(roots(text).values()), "")
    for definition in parse(text).definitions:
        for wanted in getattr(definition, "variable_definitions", None) or ():
            variable = wanted.variable.name.value
            if variable in found:
                continue
            if variable == "id" and f"{name}Id" in variables:
                found[variable] = variables[f"{name}Id"]
            elif variable == "input" and name.endswith("Create") and data.get(name):
                made = data[name].get(name.removesuffix("Create")) or {}
                first, _space, last = str(made.get("displayName") or "").partition(" ")
                found[variable] = {"email": made.get("email"), "firstName": first, "lastName": last}
    return found


def _root(field: str) -> str:
    types = schema().type_map
    for name in ("Mutation", "QueryRoot"):
        kind = types[name]
        if isinstance(kind, GraphQLObjectType) and field in kind.fields:
            return name
    return ""


def document(kind: str, data: Json, variables: Json) -> str:
    """A request that asks for exactly these fields, with as many of the variables as it takes."""
    root = schema().type_map[kind]
    assert isinstance(root, GraphQLObjectType)
    declared: dict[str, GraphQLInputType] = {}
    lines = []
    for name, answer in data.items():
        field = root.fields[name]
        words = []
        for argument, definition in field.args.items():
            source = argument if argument in variables else ""
            if not source and argument == "id" and len(variables) == 1:
                source = next(iter(variables))
            if not source and argument == "id" and answer and answer.get("id"):
                source = f"{name}Recorded"
                variables[source] = answer["id"]
            if source:
                declared[source] = definition.type
                words.append(f"{argument}: ${source}")
            elif argument == "first":
                words.append(f"first: {PAGE}")
        inner = _selection(get_named_type(field.type), answer)
        key = " @idempotent(key: $idempotencyKey)" if "idempotencyKey" in variables else ""
        given = f"({', '.join(words)})" if words else ""
        lines.append(f"{name}{given}{key} {inner}")
    head = ", ".join(f"${name}: {of}" for name, of in declared.items())
    word = "mutation" if kind == "Mutation" else "query"
    return f"{word} Recorded{f'({head})' if head else ''} {{ {' '.join(lines)} }}"


def _selection(kind: Any, answer: Any) -> str:
    if is_leaf_type(kind):
        return ""
    rows = [row for row in (answer if isinstance(answer, list) else [answer]) if row]
    if not rows:
        return "{ __typename }"
    if isinstance(kind, GraphQLUnionType):
        name = next((row["__typename"] for row in rows if "__typename" in row), "")
        member = schema().type_map.get(name)
        inner = _selection(member, rows) if member is not None else ""
        return f"{{ __typename ... on {name} {inner} }}" if inner else "{ __typename }"
    merged: dict[str, Any] = {}
    for row in rows:
        for key, value in row.items():
            if merged.get(key) in (None, [], {}):
                merged[key] = value
    parts = []
    for key, value in merged.items():
        field = kind.fields.get(key)
        if field is None:
            if key == "__typename":
                parts.append(key)
            continue
        page = f"(first: {PAGE})" if "first" in field.args else ""
        needed = [a for a in field.args.values() if isinstance(a.type, GraphQLNonNull)]
        if not needed:
            parts.append(f"{key}{page} {_selection(get_named_type(field.type), value)}")
    return f"{{ {' '.join(parts) or '__typename'} }}"
