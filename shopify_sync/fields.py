"""Migrations and connections know the encrypted column by this address."""

from orders.fields import EncryptedTextField, Secret, StoredSecret, UndecryptableSecret

__all__ = ["EncryptedTextField", "Secret", "StoredSecret", "UndecryptableSecret"]
