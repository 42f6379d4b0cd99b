"""A passkey in software: what a browser and its authenticator answer, true or forged."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2.cose import ES256, CoseKey
from fido2.utils import websafe_encode
from fido2.webauthn import (
    Aaguid,
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
)

from orders.audit import approval_signatures

_PRESENT = AuthenticatorData.FLAG.UP
_VERIFIED = AuthenticatorData.FLAG.UV


class Passkey:
    """One key pair, for one website."""

    def __init__(self, rp_id: str = "testserver", origin: str = "https://testserver") -> None:
        self.rp_id, self.origin = rp_id, origin
        self._private = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(32)
        es256 = CoseKey.for_alg(ES256.ALGORITHM)
        self._public = es256.from_cryptography_key(self._private.public_key())

    @property
    def key(self) -> dict[str, str]:
        """The entry for Signed.keys."""
        return {websafe_encode(self.id): approval_signatures.public_key_text(self._public)}

    def registration(self) -> dict[str, Any]:
        """What the browser sends when the passkey is added; allauth keeps it."""
        data = AuthenticatorData.create(
            hashlib.sha256(self.rp_id.encode()).digest(),
            _PRESENT | _VERIFIED | AuthenticatorData.FLAG.AT,
            0,
            AttestedCredentialData.create(Aaguid.NONE, self.id, self._public),
        )
        client = CollectedClientData.create(
            CollectedClientData.TYPE.CREATE, secrets.token_bytes(32), self.origin
        )
        response = {
            "clientDataJSON": websafe_encode(client),
            "attestationObject": websafe_encode(AttestationObject.create("none", data, {})),
        }
        return self._answer(response) | {"clientExtensionResults": {"credProps": {"rk": True}}}

    def sign(self, challenge: bytes, *, verified: bool = True, **client: Any) -> dict[str, Any]:
        """Answer a request for a signature; `client` overrides what the browser says of itself."""
        data = AuthenticatorData.create(
            hashlib.sha256(self.rp_id.encode()).digest(),
            _PRESENT | _VERIFIED if verified else _PRESENT,
            1,
        )
        said = {"type": CollectedClientData.TYPE.GET, "origin": self.origin, **client}
        collected = CollectedClientData.create(challenge=challenge, **said)
        signature = self._private.sign(bytes(data) + collected.hash, ec.ECDSA(SHA256()))
        return self._answer(
            {
                "clientDataJSON": websafe_encode(collected),
                "authenticatorData": websafe_encode(data),
                "signature": websafe_encode(signature),
            }
        )

    def _answer(self, response: dict[str, str]) -> dict[str, Any]:
        id_ = websafe_encode(self.id)
        return {"id": id_, "rawId": id_, "type": "public-key", "response": response}
