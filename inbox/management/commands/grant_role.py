"""Give a role from the terminal, or create the first administrator."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from inbox.accounts import grants, roles
from inbox.accounts.login import links


class Command(BaseCommand):
    """For the first administrator, and where there is no second one to approve a role."""

    help = (
        "Give someone a role without a second administrator; the audit log says so. With --create, "
        "create the account and print the link by which its owner sets a password."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("role", choices=sorted(roles.EXPLAINED))
        parser.add_argument("--create", metavar="EMAIL", help="create the account first")

    def handle(self, *args: Any, **options: Any) -> None:
        name, role = options["username"], options["role"]
        if options["create"]:
            if User.objects.filter(username__iexact=name).exists():
                raise CommandError(f"There is an account {name} already. Leave out --create.")
            # No password: the link is the only way to set the first one.
            User.objects.create_user(name, email=options["create"])
        user = User.objects.filter(username=name).first()
        if user is None:
            raise CommandError(f"There is no account {name}. Add --create EMAIL to create it.")
        held = set(user.groups.values_list("name", flat=True)) | {role}
        if grants.mixes(held):
            raise CommandError(grants.MAY_NOT_MIX)
        if role in {roles.ADMINS, roles.AUDITORS} and not user.is_staff:
            user.is_staff = True
            user.save(update_fields=["is_staff"])
        grants.give_from_terminal(user=user, group=Group.objects.get_or_create(name=role)[0])
        self.stdout.write(f"{name} now has the role {role}.")
        if not user.has_usable_password():
            self.stdout.write("Within three days, set a password here (the link works once):")
            self.stdout.write(links.link_to_set(user))
