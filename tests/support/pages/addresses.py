"""Every URL, taken from the resolver, so that tests include new pages automatically."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.urls import URLPattern, URLResolver, get_resolver, reverse


def addresses() -> Iterator[tuple[str, str]]:
    """(namespace, route) of every address of ours below it."""

    def walk(patterns: Any, prefix: str, namespace: str) -> Iterator[tuple[str, str]]:
        for found in patterns:
            route = prefix + str(found.pattern)
            if isinstance(found, URLResolver):
                yield from walk(found.url_patterns, route, found.namespace or namespace)
            elif isinstance(found, URLPattern):
                yield namespace, route

    for namespace, route in walk(get_resolver().url_patterns, "", ""):
        yield namespace, "/" + route


def filled(route: str, **known: Any) -> str:
    """The route with its parts filled in, by their names; "pk" where a name is not known."""

    def fill(part: re.Match[str]) -> str:
        return str(known.get(part[1], known["pk"]))

    return re.sub(r"<\w+:(\w+)>", fill, route)


def lists_of_the_admin() -> list[str]:
    return [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model in admin.site._registry
    ]
