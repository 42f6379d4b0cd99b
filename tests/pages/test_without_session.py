"""Pages that are the same for everyone don't say what waits for the person who looks."""

from __future__ import annotations

import pytest
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.test import RequestFactory

from inbox.decisions import people


class Asked(Exception):
    """The page counted what waits for the viewer."""


def rendered(template: str, monkeypatch: pytest.MonkeyPatch) -> str:
    def refuse(_user: object) -> None:
        raise Asked

    monkeypatch.setattr(people, "waiting_for", refuse)
    request: HttpRequest = RequestFactory().get("/")
    request.user = "someone"  # type: ignore[assignment]  # only whether it is looked at matters
    return render_to_string(template, {"origins": ""}, request)


@pytest.mark.parametrize("template", ["sidebar/frame.html", "sidebar/off.html"])
def test_the_sidebar_does_not_count_for_a_cookie(
    template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "<title>" in rendered(template, monkeypatch)


def test_other_pages_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    with pytest.raises(Asked):
        rendered("404.html", monkeypatch)
