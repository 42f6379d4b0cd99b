"""Log people out everywhere: some of them, or everyone after a leak."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from inbox.accounts.login import sessions


class Command(BaseCommand):
    """Also in the admin, for people one selects there; for everyone, only from the terminal."""

    help = "End the sessions of these people, or of everyone. API tokens stay."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", nargs="*")
        parser.add_argument("--everyone", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        names = options["username"]
        if options["everyone"] == bool(names):
            raise CommandError("Name the people, or use --everyone.")
        if options["everyone"]:
            self.stdout.write(f"Ended {sessions.log_everyone_out()} sessions.")
            return
        people = {user.username: user for user in User.objects.filter(username__in=names)}
        if missing := sorted(set(names) - set(people)):
            raise CommandError(f"There is no account {', '.join(missing)}.")
        for user in people.values():
            sessions.log_out(user, by=None)
        self.stdout.write(f"Logged out: {', '.join(sorted(people))}.")
