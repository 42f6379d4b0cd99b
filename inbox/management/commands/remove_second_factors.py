"""Help a person who lost their second factor and their recovery codes."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from inbox.accounts import notices
from inbox.accounts.login import sessions
from orders import audit
from orders.models import AuditKind


class Command(BaseCommand):
    """From the terminal only: an administrator's stolen session must not be able to do this."""

    help = (
        "Remove a person's passkeys, authenticator app and recovery codes, and end their sessions. "
        "At the next login they are led to set up a new factor. Make sure first that it's them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    @transaction.atomic
    def handle(self, *args: object, **options: object) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no account {options['username']}.")
        count, _kinds = Authenticator.objects.filter(user=user).delete()
        sessions.end_all(user)
        audit.record(
            AuditKind.PERMISSIONS, actor=None, user=user.pk, change="second factors removed"
        )
        transaction.on_commit(lambda: notices.factors_removed(user))
        self.stdout.write(f"Removed {count}. {user.username} sets up a new one at the next login.")
