"""Columns of text that hold no personal data, and why."""

from __future__ import annotations

from orders.privacy.registry import (
    REGISTRY,
)

_UNUSED = "stays empty: the provider is set by the environment"
_APP = ("provider", "provider_id", "name", "client_id", "secret", "key", "settings")
REGISTRY.declare("socialaccount.SocialApp", **dict.fromkeys(_APP, _UNUSED))
REGISTRY.declare("socialaccount.SocialToken", **dict.fromkeys(("token", "token_secret"), _UNUSED))
REGISTRY.declare("usersessions.UserSession", data="stays empty")
REGISTRY.declare("mfa.Authenticator", data="encrypted secrets and public keys")
REGISTRY.declare("account.EmailAddress", email="stays empty: addresses are on the account")
REGISTRY.declare("account.EmailConfirmation", key="stays empty")
REGISTRY.declare(
    "inbox.FailedLogIn", name_digest="a keyed hash", place="an address that guesses passwords"
)


_TEMPLATE = "a text with placeholders, written before any customer"
_SET_UP = "set up by an administrator"
REGISTRY.declare(
    "inbox.Campaign",
    name=_SET_UP,
    language=_SET_UP,
    subject=_TEMPLATE,
    body=_TEMPLATE,
    sms_text=_TEMPLATE,
)
REGISTRY.declare(
    "inbox.CampaignTranslation",
    language=_SET_UP,
    subject=_TEMPLATE,
    body=_TEMPLATE,
    sms_text=_TEMPLATE,
)
REGISTRY.declare("inbox.CampaignMessage", reason="a sentence of ours")
REGISTRY.declare(
    "inbox.Channel",
    name=_SET_UP,
    callback_url=_SET_UP,
    key_prefix="a key's name",
    key_hash="a hash",
    sealed_secret="encrypted",  # noqa: S106
)
REGISTRY.declare("inbox.CustomerView", kind="a word of ours")
REGISTRY.declare("inbox.Route", key="a channel's number, or a way out")
REGISTRY.declare("inbox.Team", name="a team of ours")
REGISTRY.declare("inbox.ApiToken", scope="a choice", digest="a hash", hint="too short to be of use")
REGISTRY.declare("inbox.OptOut", digest="a keyed hash, kept so that they stay unsubscribed")
REGISTRY.declare(
    "inbox.LiveEvent", topics="ids of ours, and keyed hashes of addresses, for two hours"
)
REGISTRY.declare(
    "inbox.HelpDeskFrame",
    name=_SET_UP,
    origins=_SET_UP,
    secret="encrypted",  # noqa: S106
)
REGISTRY.declare(
    "inbox.WebhookEndpoint",
    name=_SET_UP,
    url=_SET_UP,
    event_types="words of ours",
    secret="encrypted",  # noqa: S106
    old_secret="encrypted",  # noqa: S106
)
REGISTRY.declare(
    "inbox.WebhookDelivery",
    message_id="a random number",
    payload="IDs, states and amounts; nothing of what a customer is called or wrote",
    error="a sentence of ours",
)
REGISTRY.declare(
    "inbox.FrameCode",
    digest="a hash",
    session_key="an agent's login, for two minutes",
    challenge="a hash",
)
