"""Approvals signed by the approver's passkey: what is signed, and how a signature is checked.

The authenticator signs a challenge, which is the SHA-256 of a document that states exactly what is
approved. Document, signature and public key are kept in the approval's entry and sealed with it.
The same checks run when someone approves and in `audit_verify`, which needs nothing but the log.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, cast

from cryptography.exceptions import InvalidSignature
from django.contrib.auth.models import User
from fido2 import cbor
from fido2.cose import CoseKey
from fido2.rpid import verify_rp_id
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import AuthenticationResponse, AuthenticatorData, CollectedClientData

from orders.models import OrderAction

FORMAT: Final = "agent-inbox approval 1"
# What parsing hostile bytes may raise: fido2 reads them without checking their length first.
_UNREADABLE: Final = (AttributeError, IndexError, KeyError, TypeError, ValueError, struct.error)


class SignatureRefused(Exception):
    """The signature doesn't prove this approval; the message says why, in English."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A browser's answer to a request for a signature.

    `nonce` and `at` are those of the request, kept by the server. `keys` holds the approver's own
    passkeys: the credential's ID and its public key, both as `encode` writes them.
    """

    nonce: str
    at: str
    rp_id: str
    assertion: Mapping[str, object]
    keys: Mapping[str, str]


@dataclass(slots=True)
class Seen:
    """What a pass over the log has met: registered passkeys and used documents."""

    # Credential ID -> (user ID, public key).
    passkeys: dict[str, tuple[int, str]] = field(default_factory=dict)
    challenges: set[bytes] = field(default_factory=set)


def encode(value: bytes) -> str:
    """Write bytes for JSON."""
    return websafe_encode(value)


def public_key_text(key: Mapping[int, object]) -> str:
    """Write a credential's public key (COSE) for JSON."""
    return encode(cbor.encode(dict(key)))


def new_nonce() -> str:
    """Return a random nonce: no two requests for a signature have the same document."""
    return secrets.token_hex(16)


def document(action: OrderAction, by: User, *, nonce: str, at: str) -> str:
    """Return what an approver signs, as canonical JSON.

    It names the goods by their IDs. Texts that customers or agents wrote are covered by
    `request_sha256`, the hash of the frozen request that is sent to Shopify.
    """
    proposal = action.proposal
    content = {
        "format": FORMAT,
        "action": action.pk,
        "kind": action.kind,
        "store": action.order.store.domain,
        "order": action.order.gid,
        "order_name": action.order.name,
        "amount": None if action.amount is None else f"{action.amount:.4f}",
        "currency": action.currency,
        "amount_shop": f"{action.amount_shop:.4f}",
        "lines": proposal.get("lines") or [],
        "shipping": proposal.get("shipping"),
        "targets": [
            {"parent": target.get("parent_gid"), "amount": target.get("amount")}
            for target in proposal.get("targets") or []
        ],
        "request_sha256": hashlib.sha256(
            _canonical([proposal, action.steps, action.digest]).encode()
        ).hexdigest(),
        "requested_by": action.requested_by_id,
        "requested_at": action.requested_at.isoformat(),
        "approved_by": by.pk,
        "approver": by.get_username(),
        "at": at,
        "nonce": nonce,
    }
    return _canonical(content)


def challenge_of(text: str) -> bytes:
    """Return the bytes that the authenticator is asked to sign for a document."""
    return hashlib.sha256(text.encode()).digest()


def check(signed: Signed, text: str) -> dict[str, str]:
    """Check a fresh signature of this document; return it as the entry keeps it.

    Raises SignatureRefused.
    """
    try:
        answer = AuthenticationResponse.from_dict(signed.assertion)
        credential_id = encode(answer.raw_id)
        kept = {
            "document": text,
            "rp_id": signed.rp_id,
            "credential_id": credential_id,
            "authenticator_data": encode(answer.response.authenticator_data),
            "client_data": encode(answer.response.client_data),
            "signature": encode(answer.response.signature),
        }
    except _UNREADABLE as error:
        raise SignatureRefused("The browser's answer can't be read.") from error
    if credential_id not in signed.keys:
        raise SignatureRefused("It was made with a passkey that isn't the approver's.")
    kept["public_key"] = signed.keys[credential_id]
    try:
        _verify(kept)
    except _UNREADABLE as error:
        raise SignatureRefused("The browser's answer can't be read.") from error
    return kept


def problem_of(entry: Mapping[str, Any], seen: Seen) -> str:
    """Say what is wrong with a signed approval in the log; "" if nothing is.

    Compares the document with the entry, and the passkey with those registered earlier in the log.
    """
    kept = entry["detail"]["signature"]
    try:
        said = json.loads(kept["document"])
        _verify(kept)
    except SignatureRefused as error:
        return str(error)
    except _UNREADABLE:
        return "It can't be read."
    amount = None if entry["amount"] is None else f"{entry['amount']:.4f}"
    if (said.get("action"), said.get("approved_by")) != (entry["action_id"], entry["actor_id"]):
        return "It is for another action or by another person."
    if (said.get("amount"), said.get("currency")) != (amount, entry["currency"]):
        return "It is for another amount."
    if seen.passkeys.get(kept["credential_id"]) != (entry["actor_id"], kept["public_key"]):
        return "Its passkey was never registered by that person."
    if challenge_of(kept["document"]) in seen.challenges:
        return "It was used before."
    return ""


def remember(entry: Mapping[str, Any], seen: Seen) -> None:
    """Remember the document of a signed approval, so that no later one may use it again."""
    kept = entry["detail"]["signature"]
    text = kept.get("document") if isinstance(kept, Mapping) else None
    if isinstance(text, str):
        seen.challenges.add(challenge_of(text))


def _verify(kept: Mapping[str, str]) -> None:
    """Check everything that document, signature and public key say by themselves."""
    client = CollectedClientData(websafe_decode(kept["client_data"]))
    data = AuthenticatorData(websafe_decode(kept["authenticator_data"]))
    if client.type != CollectedClientData.TYPE.GET:
        raise SignatureRefused("It was made for something else than an approval.")
    if not hmac.compare_digest(client.challenge, challenge_of(kept["document"])):
        raise SignatureRefused("It signs something else than what was proposed.")
    if client.cross_origin or not verify_rp_id(kept["rp_id"], client.origin):
        raise SignatureRefused("It was made on another website.")
    if not hmac.compare_digest(data.rp_id_hash, hashlib.sha256(kept["rp_id"].encode()).digest()):
        raise SignatureRefused("It was made for another website.")
    if not (data.is_user_present() and data.is_user_verified()):
        raise SignatureRefused("The authenticator didn't verify who is there.")
    key = CoseKey.parse(_public_key(kept))
    try:
        key.verify(bytes(data) + client.hash, websafe_decode(kept["signature"]))
    except (InvalidSignature, NotImplementedError) as error:
        raise SignatureRefused("The signature doesn't match the passkey.") from error


def _public_key(kept: Mapping[str, str]) -> Mapping[int, object]:
    decoded = cbor.decode(websafe_decode(kept["public_key"]))
    if not isinstance(decoded, Mapping):
        raise SignatureRefused("Its public key can't be read.")
    return cast("Mapping[int, Any]", decoded)


def age_s(at: str, *, now: datetime) -> float:
    """Return how many seconds ago a signature was requested."""
    return (now - datetime.fromisoformat(at)).total_seconds()


def _canonical(content: object) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
