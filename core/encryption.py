"""Secrets at rest: columns encrypted with MultiFernet, masked if they are ever printed.

Nothing else encrypts with FIELD_ENCRYPTION_KEYS: `rotate_keys` finds encrypted values by these two
field types, and through RESEALERS.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


class Secret(str):
    """Text that hides itself in a repr, a log line or an f-string; call `reveal()` for the value."""

    __slots__ = ()

    def __repr__(self) -> str:
        try:
            text = self.reveal()
        except UndecryptableSecret:
            return "<secret that cannot be decrypted>"
        return f"<secret …{text[-4:]}>" if len(text) > 12 else "<secret>"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return format(repr(self), format_spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and _plain(self) == _plain(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(_plain(self))

    def reveal(self) -> str:
        """Return the plain text. Raises UndecryptableSecret if it is stored and no key decrypts it."""
        return str.__str__(self)


class StoredSecret(Secret):
    """A secret as its column holds it, decrypted only on use.

    So a row whose key was lost can still be read, listed and repaired.
    """

    __slots__ = ()

    def reveal(self) -> str:
        """Decrypt the value. Raises UndecryptableSecret if no key fits."""
        return unseal(self.ciphertext)

    @property
    def ciphertext(self) -> str:
        """The encrypted text, exactly as stored."""
        return str.__str__(self)


class UndecryptableSecret(Exception):
    """No key in FIELD_ENCRYPTION_KEYS decrypts this value: was the key that wrote it removed?"""


def _plain(text: str) -> str:
    """Return the text to compare by; a secret that can't be decrypted equals only its own
    ciphertext.
    """
    if not isinstance(text, Secret):
        return text
    try:
        return text.reveal()
    except UndecryptableSecret:
        return str.__str__(text)


@cache
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key.encode()) for key in keys])


def box() -> MultiFernet:
    """Return the cipher: the first of FIELD_ENCRYPTION_KEYS encrypts, and all of them decrypt."""
    return _fernet(tuple(settings.FIELD_ENCRYPTION_KEYS))


def seal(text: str) -> str:
    """Encrypt a text for a SealedTextField."""
    return box().encrypt(text.encode()).decode()


def unseal(text: str) -> str:
    """Decrypt a text that `seal` made. Raises UndecryptableSecret."""
    try:
        return box().decrypt(text.encode()).decode()
    except InvalidToken as error:
        raise UndecryptableSecret("encrypted with a key that is not in use") from error


def reseal(text: str) -> str:
    """Re-encrypt a text with the first key; empty stays empty. Raises UndecryptableSecret."""
    try:
        return box().rotate(text.encode()).decode() if text else ""
    except InvalidToken as error:
        raise UndecryptableSecret from error


# For secrets in columns that aren't ours, such as a library's: each reseals its rows and returns what
# they are and how many. Raises UndecryptableSecret.
RESEALERS: Final[list[Callable[[], tuple[str, int]]]] = []


if TYPE_CHECKING:
    TextField = models.TextField[Any, Any]
else:
    TextField = models.TextField


class EncryptedTextField(TextField):
    """A text column that is encrypted at rest and yields a Secret.

    Empty stays empty. A lookup other than `exact` and `isnull` raises TypeError.
    """

    def from_db_value(self, value: str | None, *_: object) -> Secret | None:
        """Wrap the ciphertext without decrypting it, so that a lost key never breaks a read."""
        if not value:
            return Secret("") if value is not None else None
        return StoredSecret(value)

    def get_prep_value(self, value: object) -> object:
        """Encrypt with the first of FIELD_ENCRYPTION_KEYS; empty and None stay as they are."""
        if value is None:
            return None
        if isinstance(value, StoredSecret):
            # Written back unchanged: saving a row must not need the keys of all its secrets.
            return value.ciphertext
        plain = value.reveal() if isinstance(value, Secret) else str(value)
        return box().encrypt(plain.encode()).decode() if plain else ""

    def get_lookup(self, lookup_name: str) -> Any:
        """Raise TypeError for lookups that could only compare ciphertext."""
        if lookup_name in {"exact", "isnull"}:
            return super().get_lookup(lookup_name)
        raise TypeError(f"{self.name} is encrypted and cannot be searched")


class SealedTextField(TextField):
    """A text column that holds what `seal` made; callers `unseal` it when they need it.

    Its rows are read on pages that have no use for the secret, and a lost key must not break those.
    """
