"""Create the two roles that work in the admin, once, with the permissions they need there.

Done after `migrate`, because permissions don't exist before. Later changes by administrators stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.contrib.auth.models import Group, Permission
from django.db.models import Q
from django.db.models.signals import post_migrate
from django.dispatch import receiver

from inbox.accounts import roles

# Neither role sees what customers wrote, and auditors see no addresses.
_VIEW: Final = ("view",)
_EDIT: Final = ("view", "add", "change")
_BOTH_VIEW: Final = {
    "orders": (
        "orderaction",
        "orderevent",
        "auditentry",
        "privacyrequest",
        "redactedidentity",
        "store",
        "policy",
    ),
    "shopify_sync": ("synccursor", "backfill", "comparison", "drift", "webhooktally"),
    "inbox": ("campaign", "campaigntranslation", "customerview", "team"),
    "auth": ("user", "group"),
}
_ADMINS_EDIT: Final = {
    "orders": ("store", "policy"),
    "shopify_sync": ("shopconnection",),
    "inbox": ("channel", "campaign", "campaigntranslation", "team", "webhookendpoint"),
    "auth": ("user",),
}
_ADMINS_ALSO: Final = (
    ("orders", "delete_policy"),
    ("inbox", "delete_campaigntranslation"),
    ("inbox", "delete_team"),
    ("orders", "view_order"),
    ("orders", "work_on_privacyrequest"),
    ("shopify_sync", "view_webhookevent"),
    ("shopify_sync", "change_webhookevent"),
    ("inbox", "view_campaignmessage"),
    ("inbox", "view_conversation"),
    ("inbox", "view_apitoken"),
    ("inbox", "change_apitoken"),
    ("inbox", "view_webhookdelivery"),
)


# What a migration added for each role, for installations whose groups exist already.
_ADDED: Final[Mapping[tuple[str, str], Mapping[str, list[tuple[str, str]]]]] = {
    ("inbox", "0021_teams"): {
        roles.ADMINS: [("inbox", f"{verb}_team") for verb in ("view", "add", "change", "delete")],
        roles.AUDITORS: [("inbox", "view_team")],
    },
    ("inbox", "0022_api_tokens"): {
        roles.ADMINS: [("inbox", "view_apitoken"), ("inbox", "change_apitoken")],
    },
    ("inbox", "0035_outgoing_webhooks"): {
        roles.ADMINS: [
            *(("inbox", f"{verb}_webhookendpoint") for verb in _EDIT),
            ("inbox", "view_webhookdelivery"),
        ],
    },
}


@receiver(post_migrate)
def make_staff_roles(sender: object, plan: Iterable[tuple[Any, bool]] = (), **_: object) -> None:
    """Create the admins' and auditors' groups if they don't exist.

    Existing ones only get the permissions on what this migration has just added.
    """
    # post_migrate is sent for every app; once is enough.
    if getattr(sender, "name", "") != "inbox":
        return
    ran = [(migration.app_label, migration.name) for migration, backwards in plan if not backwards]
    for key in ran:
        for role, added in _ADDED.get(key, {}).items():
            for group in Group.objects.filter(name=role):
                group.permissions.add(*_permissions(added))
    known = set(
        Group.objects.filter(name__in=(roles.ADMINS, roles.AUDITORS)).values_list("name", flat=True)
    )
    seen = [
        (app, f"{verb}_{name}")
        for app, names in _BOTH_VIEW.items()
        for name in names
        for verb in _VIEW
    ]
    edited = [
        (app, f"{verb}_{name}")
        for app, names in _ADMINS_EDIT.items()
        for name in names
        for verb in _EDIT
    ]
    for role, wanted in ((roles.AUDITORS, seen), (roles.ADMINS, [*seen, *edited, *_ADMINS_ALSO])):
        if role not in known:
            Group.objects.create(name=role).permissions.set(_permissions(wanted))


def _permissions(wanted: list[tuple[str, str]]) -> list[Permission]:
    match = Q()
    for app, codename in wanted:
        match |= Q(content_type__app_label=app, codename=codename)
    return list(Permission.objects.filter(match))
