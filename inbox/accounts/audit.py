"""Write logins, roles, permissions and passwords to the audit log, whatever page, API or terminal
they come through.

The person responsible is the one whose request it is; a command in a terminal is recorded with the
operating system's user. Failed logins are counted elsewhere (inbox.accounts.login.throttling): anyone can
cause as many as they like, and the log only grows.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from allauth.account.authentication import get_authentication_records
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group, User
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django.dispatch import receiver
from django.http import HttpRequest

from core.change_origin import current_origin
from inbox.accounts.login import passkeys
from orders import audit
from orders.models import AuditKind

_ACCESS: Final = frozenset({"is_staff", "is_superuser", "is_active", "password"})
# Set on an account between pre_save and post_save: its password before.
_BEFORE: Final = "_password_before"


@receiver(user_logged_in)
def _logged_in(sender: object, request: HttpRequest, user: User, **_: object) -> None:
    """Name what was proven: "password", "socialaccount", "totp", "webauthn", "recovery_codes"."""
    proofs = get_authentication_records(request, user)
    audit.record(
        AuditKind.LOG_IN,
        actor=user,
        proofs=[str(proof.get("type") or proof["method"]) for proof in proofs],
    )


@receiver(user_logged_out)
def _logged_out(sender: object, user: User | None, **_: object) -> None:
    if user is not None:
        audit.record(AuditKind.LOG_OUT, actor=user)


@receiver(m2m_changed, sender=User.groups.through)
@receiver(m2m_changed, sender=User.user_permissions.through)
@receiver(m2m_changed, sender=Group.permissions.through)
def _permissions_changed(
    sender: object,
    instance: Model,
    action: str,
    reverse: bool,
    pk_set: set[int] | None,
    **_: object,
) -> None:
    """Record it from either side: user.groups.add or group.user_set.add."""
    if action not in {"post_add", "post_remove", "post_clear"} or pk_set == set():
        return
    if sender is Group.permissions.through and not _is_by_somebody():
        return
    audit.record(
        AuditKind.PERMISSIONS,
        actor=audit.current_actor(),
        change=action.removeprefix("post_"),
        of="groups" if sender is User.groups.through else "permissions",
        ids=sorted(pk_set or ()),
        # Seen from the other side, the IDs are those of the users or roles that get this.
        ids_are_owners=reverse,
        **_names(instance),
    )


@receiver(pre_save, sender=User)
def _user_saving(
    sender: object, instance: User, update_fields: Collection[str] | None, **_: object
) -> None:
    if instance.pk and (not update_fields or "password" in update_fields):
        rows = User.objects.filter(pk=instance.pk).values_list("password", flat=True)
        instance.__dict__[_BEFORE] = rows.first()


@receiver(post_save, sender=User)
def _user_saved(
    sender: object,
    instance: User,
    created: bool,
    update_fields: Collection[str] | None,
    **_: object,
) -> None:
    # Every login saves last_login; that is no change of permissions.
    if update_fields and not _ACCESS & set(update_fields):
        return
    before = instance.__dict__.pop(_BEFORE, None)
    audit.record(
        AuditKind.PERMISSIONS,
        actor=audit.current_actor(),
        user=instance.pk,
        change="created" if created else "saved",
        staff=instance.is_staff,
        superuser=instance.is_superuser,
        active=instance.is_active,
        password_changed=not created and before is not None and before != instance.password,
    )


@receiver(post_delete, sender=User)
@receiver(post_delete, sender=Group)
def _deleted(sender: object, instance: Model, **_: object) -> None:
    audit.record(
        AuditKind.PERMISSIONS, actor=audit.current_actor(), change="deleted", **_names(instance)
    )


@receiver(post_save, sender=Group)
def _role_saved(sender: object, instance: Group, created: bool, **_: object) -> None:
    if not _is_by_somebody():
        return
    audit.record(
        AuditKind.PERMISSIONS,
        actor=audit.current_actor(),
        change="created" if created else "saved",
        **_names(instance),
    )


@receiver(post_save, sender=Authenticator)
def _factor_saved(sender: object, instance: Authenticator, created: bool, **_: object) -> None:
    if not created:
        return
    if passkey := passkeys.public_parts(instance):
        # `audit_verify` accepts a signed approval only from a passkey that the log has seen.
        credential_id, public_key = passkey
        parts = {"credential_id": credential_id, "public_key": public_key}
        _factor_changed(instance, audit.PASSKEY_ADDED, **parts)
    else:
        _factor_changed(instance, f"{instance.type} added")


@receiver(post_delete, sender=Authenticator)
def _factor_deleted(sender: object, instance: Authenticator, **_: object) -> None:
    passkey = passkeys.public_parts(instance)
    if passkey:
        _factor_changed(instance, "passkey removed", credential_id=passkey[0])
    else:
        _factor_changed(instance, f"{instance.type} removed")


def _factor_changed(factor: Authenticator, change: str, **parts: Any) -> None:
    audit.record(
        AuditKind.PERMISSIONS,
        actor=audit.current_actor(),
        user=factor.user_id,
        change=change,
        **parts,
    )


@receiver(post_save, sender=SocialAccount)
def _tied(sender: object, instance: SocialAccount, created: bool, **_: object) -> None:
    # Every login through the provider saves it; only the first one opens a new way in.
    if created:
        _tie_changed(instance, "single sign-on tied")


@receiver(post_delete, sender=SocialAccount)
def _untied(sender: object, instance: SocialAccount, **_: object) -> None:
    _tie_changed(instance, "single sign-on removed")


def _tie_changed(tie: SocialAccount, change: str) -> None:
    audit.record(
        AuditKind.PERMISSIONS, actor=audit.current_actor(), user=tie.user_id, change=change
    )


def _is_by_somebody() -> bool:
    """Whether a request or a terminal is behind it; a new database gets its roles from neither."""
    origin = current_origin()
    return bool(origin.request_id or origin.terminal)


def _names(instance: Model) -> dict[str, Any]:
    """Return what identifies the account, the role or the permission."""
    if isinstance(instance, User):
        return {"user": instance.pk}
    kind = instance._meta.model_name or ""
    return {kind: instance.pk, "name": str(getattr(instance, "name", ""))}
