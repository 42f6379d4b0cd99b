"""Secrets at rest: encrypted columns (MultiFernet), masked wherever they could be printed.

Nothing else encrypts with FIELD_ENCRYPTION_KEYS: `rotate_keys` finds what is encrypted by these
two kinds of column.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


class Secret(str):
    """Text that hides itself: in a repr, a log line, an f-string. `reveal()` gives it away."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<secret …{self.reveal()[-4:]}>" if len(self) > 12 else "<secret>"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return format(repr(self), format_spec)

    def reveal(self) -> str:
        return str.__str__(self)


class UndecryptableSecret(Exception):
    """No key of FIELD_ENCRYPTION_KEYS opens this value: was the key that wrote it removed?"""


@cache
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key.encode()) for key in keys])


def box() -> MultiFernet:
    """The first key of settings.FIELD_ENCRYPTION_KEYS encrypts, every one decrypts."""
    return _fernet(tuple(settings.FIELD_ENCRYPTION_KEYS))


def seal(text: str) -> str:
    """For a SealedTextField."""
    return box().encrypt(text.encode()).decode()


def unseal(text: str) -> str:
    """Raises UndecryptableSecret."""
    try:
        return box().decrypt(text.encode()).decode()
    except InvalidToken as error:
        raise UndecryptableSecret from error


def reseal(text: str) -> str:
    """The same under the first key; empty stays empty. Raises UndecryptableSecret."""
    try:
        return box().rotate(text.encode()).decode() if text else ""
    except InvalidToken as error:
        raise UndecryptableSecret from error


if TYPE_CHECKING:
    TextField = models.TextField[Any, Any]
else:
    TextField = models.TextField


class EncryptedTextField(TextField):
    """Stores text encrypted and yields a Secret. Empty stays empty; lookups are refused."""

    def from_db_value(self, value: str | None, *_: object) -> Secret | None:
        if not value:
            return Secret("") if value is not None else None
        try:
            return Secret(box().decrypt(value.encode()).decode())
        except InvalidToken as error:
            raise UndecryptableSecret(self.name) from error

    def get_prep_value(self, value: Any) -> Any:
        if value in {None, ""}:
            return value
        plain = value.reveal() if isinstance(value, Secret) else str(value)
        return box().encrypt(plain.encode()).decode()

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name in {"exact", "isnull"}:
            return super().get_lookup(lookup_name)
        raise TypeError(f"{self.name} is encrypted and cannot be searched")


class SealedTextField(TextField):
    """Text that stays sealed until it is wanted: its rows are read on pages that have no use for
    the secret, and a lost key must not take these with it."""
