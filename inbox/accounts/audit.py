"""Write logins and changes of permissions to the audit log, whatever page or API they come through."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import m2m_changed, post_save
from django.dispatch import receiver

from orders import audit
from orders.models import AuditKind


@receiver(user_logged_in)
def _logged_in(sender: object, user: Any, **_: object) -> None:
    audit.record(AuditKind.LOG_IN, actor=user)


@receiver(user_logged_out)
def _logged_out(sender: object, user: Any, **_: object) -> None:
    if user is not None:
        audit.record(AuditKind.LOG_OUT, actor=user)


@receiver(user_login_failed)
def _log_in_failed(sender: object, credentials: dict[str, Any], **_: object) -> None:
    # An unknown username may be a password typed into the wrong field, so don't record it.
    name = str(credentials.get("username", ""))[:150]
    known = User.objects.filter(username=name).first()
    audit.record(AuditKind.LOG_IN_FAILED, actor=None, user=known.pk if known else None)


@receiver(m2m_changed, sender=User.groups.through)
@receiver(m2m_changed, sender=User.user_permissions.through)
def _permissions_changed(
    sender: object, instance: Any, action: str, pk_set: set[int] | None, **_: object
) -> None:
    if action in {"post_add", "post_remove", "post_clear"} and isinstance(instance, User):
        audit.record(
            AuditKind.PERMISSIONS,
            actor=None,
            user=instance.pk,
            change=action.removeprefix("post_"),
            of="groups" if sender is User.groups.through else "permissions",
            ids=sorted(pk_set or ()),
        )


@receiver(post_save, sender=User)
def _user_saved(
    sender: object, instance: User, created: bool, update_fields: Any, **_: object
) -> None:
    # Every login saves last_login; that is no change of permissions.
    if update_fields and not {"is_staff", "is_superuser", "is_active", "password"} & set(
        update_fields
    ):
        return
    audit.record(
        AuditKind.PERMISSIONS,
        actor=None,
        user=instance.pk,
        change="created" if created else "saved",
        staff=instance.is_staff,
        superuser=instance.is_superuser,
        active=instance.is_active,
    )
