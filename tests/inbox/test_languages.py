"""Languages: catalogues are whole and fresh, and pages speak them."""

from __future__ import annotations

import gettext
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.test import Client

from inbox.models import Conversation
from orders.models import Store
from tests.support.shop import Shop, fetch_dirty

LOCALE = Path("inbox/locale")
COUNTED_IN_WORDS = {"de": {0}, "ar": {0, 1, 2}}
PLACEHOLDER = re.compile(r"%\(\w+\)s|%s|%d")


def catalogue(language: str) -> dict[object, str]:
    with (LOCALE / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        found: dict[object, str] = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    return found


def source(language: str) -> str:
    return (LOCALE / language / "LC_MESSAGES" / "django.po").read_text()


def test_german_is_complete() -> None:
    text = source("de")
    assert "fuzzy" not in text
    body = text.split("\n\n", 1)[1]
    empty = re.findall(r'msgid ("[^\n]*"(?:\n"[^\n]*")*)\nmsgstr ""\n(?!")', body + "\n")
    assert empty == []


@pytest.mark.parametrize("language", ["de", "ar"])
def test_nothing_is_lost_in_translation(language: str) -> None:
    assert "fuzzy" not in source(language)
    for key, text in catalogue(language).items():
        wanted = key[0] if isinstance(key, tuple) else key
        if not wanted:
            continue
        found, expected = set(PLACEHOLDER.findall(text)), set(PLACEHOLDER.findall(str(wanted)))
        # "One order" and "two orders" are words of their own in Arabic, without a number.
        is_counted = isinstance(key, tuple) and key[1] in COUNTED_IN_WORDS[language]
        assert found <= expected if is_counted else found == expected, (key, text)


@pytest.mark.parametrize("language", ["de", "ar"])
def test_the_compiled_catalogue_is_the_source(language: str, tmp_path: Path) -> None:
    if not shutil.which("msgfmt"):
        pytest.skip("gettext is not installed")
    fresh = tmp_path / "django.mo"
    folder = LOCALE / language / "LC_MESSAGES"
    subprocess.run(["msgfmt", "--check", "-o", fresh, folder / "django.po"], check=True)
    assert fresh.read_bytes() == (folder / "django.mo").read_bytes()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("de", ['lang="de"', "Bestellung stornieren", "Erstatten", "Nicht ausgeführt", "Bezahlt"]),
        ("ar", ['dir="rtl"', "إلغاء الطلب", "استرداد", "مدفوع"]),
    ],
)
def test_pages_speak_the_language_that_was_chosen(
    shop: Shop,
    store: Store,
    as_alice: Client,
    conversation: Conversation,
    language: str,
    words: list[str],
) -> None:
    shop.place()
    shop.deliver(Client())
    fetch_dirty()
    at = f"/inbox/conversations/{conversation.pk}/"
    assert as_alice.post("/language/", {"language": language, "next": at}).status_code == 302
    page = as_alice.get(at).content.decode()
    assert [word for word in words if word not in page] == []
