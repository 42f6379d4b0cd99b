"""Translate graphql-core's errors to graphql-ruby's wording, which is Shopify's (from recordings)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLSyntaxError,
    GraphQLType,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    get_location,
    print_ast,
    type_from_ast,
)

from core.json_types import JsonObject

Entry = JsonObject
Path = list[str | int]


def syntax_error(error: GraphQLSyntaxError) -> Entry:
    """Return a parse error in Shopify's format."""
    line, column = 1, 1
    if error.locations:
        line, column = error.locations[0].line, error.locations[0].column
    if "<EOF>" in error.message and error.source is not None:
        # Shopify points at the last token, graphql-core at the position after it.
        last = error.source.body.rstrip().splitlines()
        line = len(last)
        column = len(last[-1]) - len(last[-1].split()[-1]) + 1 if last else 1
        message = f"syntax error, unexpected end of file at [{line}, {column}]"
    else:
        found = error.message.removeprefix("Syntax Error: ")
        message = f"syntax error, {found[0].lower()}{found[1:]} at [{line}, {column}]"
    return {
        "message": message,
        "locations": [{"line": line, "column": column}],
        "extensions": {"code": "PARSE_ERROR"},
    }


def validation_error(document: DocumentNode, error: GraphQLError) -> Entry:
    """Return an error of validate() in Shopify's format; unknown ones keep their message."""
    node = error.nodes[0] if error.nodes else None
    path = _path(document, node) if node else []
    entry: Entry = {"message": error.message}
    if error.locations:
        entry["locations"] = [{"line": at.line, "column": at.column} for at in error.locations[:1]]
    entry["path"] = path
    for pattern, rewrite in _RULES:
        if match := pattern.match(error.message):
            rewrite(entry, match, node)
            return entry
    entry["extensions"] = {"code": "BAD_REQUEST"}
    return entry


def undefined_field(type_name: str, node: FieldNode) -> Entry:
    """Return the error for a field that the requested API version doesn't have yet."""
    field = node.name.value
    entry: Entry = {
        "message": f"Field '{field}' doesn't exist on type '{type_name}'",
        "extensions": {"code": "undefinedField", "typeName": type_name, "fieldName": field},
    }
    if node.loc is not None:
        at = get_location(node.loc.source, node.loc.start)
        entry["locations"] = [{"line": at.line, "column": at.column}]
    return entry


def _undefined_field(entry: Entry, match: re.Match[str], node: Node | None) -> None:
    field, type_name = match[1], match[2]
    entry["message"] = f"Field '{field}' doesn't exist on type '{type_name}'"
    entry["extensions"] = {"code": "undefinedField", "typeName": type_name, "fieldName": field}


def _no_selection(entry: Entry, match: re.Match[str], node: Node | None) -> None:
    field, type_name = match[1], match[2].rstrip("!").strip("[]!")
    entry["message"] = (
        f"Field must have selections (field '{field}' returns {type_name} but has no selections. "
        f"Did you mean '{field} {{ ... }}'?)"
    )
    entry["extensions"] = {
        "code": "selectionMismatch",
        "nodeName": f"field '{field}'",
        "typeName": type_name,
    }


def _missing_argument(entry: Entry, match: re.Match[str], node: Node | None) -> None:
    field, argument = match[1], match[2]
    entry["message"] = f"Field '{field}' is missing required arguments: {argument}"
    entry["extensions"] = {
        "code": "missingRequiredArguments",
        "className": "Field",
        "name": field,
        "arguments": argument,
    }


def _unknown_argument(entry: Entry, match: re.Match[str], node: Node | None) -> None:
    argument, field = match[1], match[2].rsplit(".", 1)[-1]
    entry["message"] = f"Field '{field}' doesn't accept argument '{argument}'"
    entry["path"] = [*entry["path"], argument] if argument not in entry["path"] else entry["path"]
    entry["extensions"] = {
        "code": "argumentNotAccepted",
        "name": field,
        "typeName": "Field",
        "argumentName": argument,
    }


def _unused_variable(entry: Entry, match: re.Match[str], node: Node | None) -> None:
    name = match[1]
    entry["message"] = f"Variable ${name} is declared by {match[2] or 'the operation'} but not used"
    entry["extensions"] = {"code": "variableNotUsed", "variableName": name}


def _undefined_type(entry: Entry, match: re.Match[str], node: Node | None) -> None:
    entry["message"] = f"{match[1]} isn't a defined input type (on a variable)"
    entry["extensions"] = {"code": "undefinedType", "typeName": match[1]}


def _undefined_directive(entry: Entry, match: re.Match[str], node: Node | None) -> None:
    entry["message"] = f"Directive @{match[1]} is not defined"
    entry["extensions"] = {"code": "undefinedDirective", "directiveName": match[1]}


def _bad_literal(entry: Entry, match: re.Match[str], node: Node | None) -> None:
    """Handle a literal that doesn't fit its argument's type."""
    steps = entry["path"]
    field, argument = (steps[-2], steps[-1]) if len(steps) > 2 else ("", "")
    value = print_ast(node) if node else ""
    entry["message"] = (
        f"Argument '{argument}' on Field '{field}' has an invalid value ({value}). "
        f"Expected type '{match[1]}'."
    )
    entry["extensions"] = {
        "code": "argumentLiteralsIncompatible",
        "typeName": "Field",
        "argumentName": argument,
    }


_Rewrite = Callable[[Entry, re.Match[str], Node | None], None]
_RULES: Final[tuple[tuple[re.Pattern[str], _Rewrite], ...]] = (
    (re.compile(r"Cannot query field '([^']+)' on type '([^']+)'"), _undefined_field),
    (re.compile(r"Field '([^']+)' of type '([^']+)' must have a selection"), _no_selection),
    (re.compile(r"Argument '\w+\.(\w+)\((\w+):\)' of type \S+ is required"), _missing_argument),
    (re.compile(r"Unknown argument '([^']+)' on field '([^']+)'"), _unknown_argument),
    (
        re.compile(r"Variable '\$([^']+)' is never used(?: in operation '([^']+)')?"),
        _unused_variable,
    ),
    (re.compile(r"Unknown type '([^']+)'"), _undefined_type),
    (re.compile(r"Unknown directive '@([^']+)'"), _undefined_directive),
    (re.compile(r"Expected value of type '([^']+)', found"), _bad_literal),
)


def variable_errors(
    schema: GraphQLSchema, document: DocumentNode, name: str | None, variables: Mapping[str, object]
) -> list[Entry]:
    """Return INVALID_VARIABLE errors, one for each variable that is missing or malformed."""
    found = []
    for operation in document.definitions:
        if not isinstance(operation, OperationDefinitionNode):
            continue
        if name and (operation.name is None or operation.name.value != name):
            continue
        for definition in operation.variable_definitions or ():
            key = definition.variable.name.value
            if key not in variables and definition.default_value is not None:
                continue
            problems: list[Entry] = []
            _check(type_from_ast(schema, definition.type), variables.get(key), [], problems)
            if key not in variables and not isinstance(
                type_from_ast(schema, definition.type), GraphQLNonNull
            ):
                continue
            if problems:
                found.append(
                    _variable_error(
                        key, print_ast(definition.type), variables.get(key), problems, definition
                    )
                )
    return found


def _variable_error(
    key: str, type_text: str, value: object, problems: list[Entry], node: Node
) -> Entry:
    text = f"Variable ${key} of type {type_text} was provided invalid value"
    details = [
        f"{'.'.join(str(step) for step in p['path'])} ({p['explanation']})"
        for p in problems
        if p["path"]
    ]
    if details:
        text += " for " + ", ".join(details)
    token = node.loc.start_token if node.loc else None
    return {
        "message": text,
        "locations": [{"line": token.line, "column": token.column}] if token else [],
        "extensions": {"code": "INVALID_VARIABLE", "value": value, "problems": problems},
    }


def _check(kind: GraphQLType | None, value: object, path: Path, problems: list[Entry]) -> None:
    if isinstance(kind, GraphQLNonNull):
        if value is None:
            problems.append({"path": path, "explanation": "Expected value to not be null"})
            return
        kind = kind.of_type
    if value is None:
        return
    if isinstance(kind, GraphQLList):
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            _check(kind.of_type, item, [*path, index], problems)
    elif isinstance(kind, GraphQLInputObjectType):
        _check_object(kind, value, path, problems)
    elif isinstance(kind, GraphQLEnumType):
        if value not in kind.values:
            text = f'Expected "{value}" to be one of: {", ".join(kind.values)}'
            problems.append({"path": path, "explanation": text})
    elif isinstance(kind, GraphQLScalarType):
        _check_scalar(kind, value, path, problems)


def _check_object(
    kind: GraphQLInputObjectType, value: object, path: Path, problems: list[Entry]
) -> None:
    if not isinstance(value, dict):
        problems.append(
            {"path": path, "explanation": f"Expected {value!r} to be a key-value object."}
        )
        return
    for key in value:
        if key not in kind.fields:
            text = f"Field is not defined on {kind.name}"
            problems.append({"path": [*path, key], "explanation": text})
    for key, field in kind.fields.items():
        has_default = field.default_value is not None
        if key in value or (isinstance(field.type, GraphQLNonNull) and not has_default):
            _check(field.type, value.get(key), [*path, key], problems)
    given = [key for key, part in value.items() if part is not None]
    if kind.is_one_of and (len(given) != 1 or len(value) != 1):
        # No recording has this one; the wording is graphql-ruby's.
        text = f"'{kind.name}' requires exactly one argument, but {len(given)} were provided."
        problems.append({"path": path, "explanation": text})


def _check_scalar(
    kind: GraphQLScalarType, value: object, path: Path, problems: list[Entry]
) -> None:
    if kind.name == "ID":
        if not isinstance(value, str | int):
            problems.append({"path": path, "explanation": f"Could not coerce value {value} to ID"})
        elif isinstance(value, str) and not value.startswith("gid://shopify/"):
            text = f"Invalid global id '{value}'"
            problems.append({"path": path, "explanation": text, "message": text})
        return
    try:
        kind.coerce_input_value(value)
    except Exception:  # noqa: BLE001  a value a scalar rejects is the caller's problem
        text = f"Could not coerce value {value!r} to {kind.name}".replace("'", '"')
        problems.append({"path": path, "explanation": text})


def _extended(path: Path, node: Node) -> Path:
    """Return the path one node further; most kinds of nodes have no part in it."""
    match node:
        case OperationDefinitionNode():
            name = f" {node.name.value}" if node.name else ""
            return [f"{node.operation.value}{name}"]
        case FragmentDefinitionNode():
            return [f"fragment {node.name.value}"]
        case FieldNode():
            return [*path, node.alias.value if node.alias else node.name.value]
        case InlineFragmentNode():
            on = f" on {node.type_condition.name.value}" if node.type_condition else ""
            return [*path, f"...{on}"]
        case ArgumentNode():
            return [*path, node.name.value]
        case _:
            return path


def _path(document: DocumentNode, target: Node) -> Path:
    """Return a node's path: the operation, then the response keys that lead to it."""

    def walk(node: Node, path: Path) -> Path | None:
        path = _extended(path, node)
        if node is target:
            return path
        for key in node.keys:
            child = getattr(node, key, None)
            for each in child if isinstance(child, list | tuple) else (child,):
                if isinstance(each, Node) and (found := walk(each, path)) is not None:
                    return found
        return None

    for definition in document.definitions:
        if (found := walk(definition, [])) is not None:
            return found
    return []
