"""Catalogs are complete and compiled, and pages use them."""

from __future__ import annotations

import gettext
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client
from django.utils import translation

from inbox.models import Conversation
from inbox.outbox import status_text
from orders.models import Store
from tests.support.shop.in_process import Shop, fetch_dirty

ROOT = Path(__file__).resolve().parents[2]
APPS = ("core", "inbox", "orders", "shopify_sync")
LOCALE = Path("inbox/locale")
COUNTED_IN_WORDS = {"de": {0}, "ar": {0, 1, 2}}
PLACEHOLDER = re.compile(r"%\(\w+\)s|%s|%d")


def catalog(language: str) -> dict[object, str]:
    with (LOCALE / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        found: dict[object, str] = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    return found


def source(language: str) -> str:
    return (LOCALE / language / "LC_MESSAGES" / "django.po").read_text()


EMPTY = re.compile(
    r'^(msgid(?:_plural)? "[^\n]*"(?:\n"[^\n]*")*)'
    r'(?:\nmsgstr\[\d\] "[^\n]*"(?:\n"[^\n]*")*)*'
    r'\nmsgstr(?:\[\d\])? ""\n(?!")',
    re.MULTILINE,
)


def untranslated(text: str) -> list[str]:
    """What has no translation, or lacks one of its plural forms."""
    return EMPTY.findall(text.split("\n\n", 1)[1] + "\n")


@pytest.mark.parametrize("language", ["de", "ar"])
def test_a_catalog_is_complete(language: str) -> None:
    text = source(language)
    assert "fuzzy" not in text
    assert untranslated(text) == []


@pytest.mark.slow
def test_every_marked_text_is_in_the_catalogs(tmp_path: Path) -> None:
    """As the README's command collects them, from a copy: it writes files beside the sources."""
    for name in (*APPS, "practice_store", "settings", "templates"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "manage.py", tmp_path)
    (tmp_path / "templates" / "marked.html").write_text(
        "{% load i18n %}{% translate 'Marked by the control' %}"
    )
    readme = " ".join((ROOT / "README.md").read_text().split())
    command = re.search(r"`manage\.py (makemessages [^`]*)`", readme)
    assert command
    subprocess.run(
        [sys.executable, "manage.py", *shlex.split(command[1])], cwd=tmp_path, check=True
    )
    for language in ("de", "ar"):
        po = tmp_path / "inbox" / "locale" / language / "LC_MESSAGES" / "django.po"
        entries = po.read_text().split("\n\n")[1:]
        # What resembles a text that is translated gets its translation, and is marked fuzzy.
        new = [entry for entry in entries if "#, fuzzy" in entry or untranslated("\n\n" + entry)]
        assert len(new) == 1, new
        assert "Marked by the control" in new[0]
        # Nor are texts kept that nothing shows any more.
        assert len(entries) == len(source(language).split("\n\n")[1:]) + 1


@pytest.mark.parametrize("language", ["de", "ar"])
def test_every_plural_form_is_given(language: str) -> None:
    text = source(language)
    forms = int(re.findall(r"nplurals=(\d)", text)[0])
    for entry in text.split("\n\n")[1:]:
        if "msgid_plural " in entry:
            given = re.findall(r"^msgstr\[(\d)\]", entry, re.MULTILINE)
            assert given == [str(form) for form in range(forms)], entry


@pytest.mark.parametrize(
    "entry",
    [
        'msgid "One"\nmsgstr ""',
        'msgid ""\n"Long "\n"one"\nmsgstr ""',
        'msgid "One"\nmsgid_plural "Many"\nmsgstr[0] "Eins"\nmsgstr[1] ""',
    ],
)
def test_what_is_not_translated_is_found(entry: str) -> None:
    """Negative control of the completeness."""
    assert len(untranslated(f'msgid ""\n\n{entry}\n\nmsgid "Two"\nmsgstr "Zwei"\n')) == 1


@pytest.mark.parametrize("language", ["de", "ar"])
def test_nothing_is_lost_in_translation(language: str) -> None:
    assert "fuzzy" not in source(language)
    for key, text in catalog(language).items():
        wanted = key[0] if isinstance(key, tuple) else key
        if not wanted:
            continue
        found, expected = set(PLACEHOLDER.findall(text)), set(PLACEHOLDER.findall(str(wanted)))
        # "One order" and "two orders" are words of their own in Arabic, without a number.
        is_counted = isinstance(key, tuple) and key[1] in COUNTED_IN_WORDS[language]
        assert found <= expected if is_counted else found == expected, (key, text)


@pytest.mark.parametrize("language", ["de", "ar"])
def test_the_compiled_catalog_is_the_source(language: str, tmp_path: Path) -> None:
    if not shutil.which("msgfmt"):
        pytest.skip("gettext is not installed")
    fresh = tmp_path / "django.mo"
    folder = LOCALE / language / "LC_MESSAGES"
    subprocess.run(["msgfmt", "--check", "-o", fresh, folder / "django.po"], check=True)
    assert fresh.read_bytes() == (folder / "django.mo").read_bytes()


@pytest.mark.parametrize(
    ("language", "count", "said"),
    [
        ("en", 1, "It was tried 1 time."),
        ("en", 8, "It was tried 8 times."),
        ("de", 1, "Es wurde einmal versucht."),
        ("de", 8, "Es wurde 8-mal versucht."),
        ("ar", 2, "جرت محاولتان."),
        ("ar", 8, "جرت 8 محاولات."),
        ("ar", 11, "جرت 11 محاولة."),
    ],
)
def test_the_number_of_attempts_is_translated_for_each_reader(
    language: str, count: int, said: str
) -> None:
    kept = status_text.tried(count)
    with translation.override(language):
        assert status_text.said(kept) == said


@pytest.mark.parametrize("language", ["de", "ar"])
def test_closing_a_notice_is_another_word_than_leaving_it_at_a_failure(language: str) -> None:
    notice, failure = (
        catalog(language)[f"{context}\x04Dismiss"]
        for context in ("close a notice", "message that was not delivered")
    )
    assert notice != failure
    assert "Dismiss" not in catalog(language), "no third one without a meaning"


@pytest.mark.parametrize("language", ["de", "ar"])
def test_what_stands_on_screens_is_american_english(language: str) -> None:
    words = " ".join(str(key) for key in catalog(language))
    assert re.findall(r"(?i)\bcolours?\b|\bcentres?\b", words) == []


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("de", ['lang="de"', "Bestellung stornieren", "Erstatten", "Nicht ausgeführt", "Bezahlt"]),
        ("ar", ['dir="rtl"', "إلغاء الطلب", "استرداد", "مدفوع", "صندوق الوارد", "إضافة ملاحظة"]),
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
