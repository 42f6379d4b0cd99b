"""Set up the demo: people, stores, channels, campaigns, and conversations through the API."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import F, Q
from django.utils import timezone

from inbox.accounts import roles
from inbox.channels import keys as channel_keys
from inbox.conversations import services
from inbox.demo import keys as demo_keys
from inbox.demo.campaigns import CAMPAIGNS
from inbox.demo.conversations import (
    CONVERSATIONS,
    Said,
    Story,
)
from inbox.models import (
    Campaign,
    CampaignTranslation,
    Channel,
    ChannelKind,
    Contact,
    Conversation,
    Message,
)
from orders.models import Order, Policy, Store
from orders.services import mark_partial_dirty
from orders.shopify_port import get_gateway

PASSWORD = "demo"  # noqa: S105  only ever set with DEBUG on
PEOPLE = (
    ("alice", "Alice", "Winter", roles.AGENTS),
    ("bob", "Bob", "Sommer", roles.AGENTS),
    ("sara", "Sara", "Lenz", roles.SUPERVISORS),
)
SHOPS = {
    f"{handle}.myshopify.com": {
        "token": f"shpat_practice_{handle}",
        "secret": f"shpss_practice_{handle}",
    }
    for handle in ("demo", "second")
}
WAIT_S = 120


def refuse_outside_the_demo() -> None:
    """Raise CommandError unless this is the demo's own SQLite database and its practice store.

    The demo's people have known passwords, and one of them is a superuser.
    """
    if not settings.DEBUG:
        raise CommandError("The demo uses known passwords, so it requires settings with DEBUG on.")
    if urlsplit(settings.SHOPIFY_ADMIN_ORIGIN).hostname not in {"127.0.0.1", "localhost", "::1"}:
        raise CommandError("The demo requires the practice store. Use ./run demo.")
    database = settings.DATABASES["default"]
    folder = Path(settings.VAR_DIR).resolve()
    if not database["ENGINE"].endswith("sqlite3") or (
        folder not in Path(database["NAME"]).resolve().parents
    ):
        raise CommandError(
            "This isn't the demo's database, and the demo's users have known passwords."
        )
    known = {name for name, *_names in PEOPLE} | {"admin"}
    if not Channel.objects.filter(name="Messenger").exists() and (
        strangers := User.objects.exclude(username__in=known).count()
    ):
        raise CommandError(f"{strangers} people use this database, so it isn't the demo's.")


class Command(BaseCommand):
    """Fill an empty installation with the demo; steps that were done before are skipped."""

    help = "Fill an empty installation with demo data. Running it again changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--base-url", required=True, help="base URL of the web server")
        parser.add_argument(
            "--keys", type=Path, help="write the keys of channels, users, and shops to this file"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Fill the database. Raises CommandError if it isn't the demo's, or if orders don't
        arrive."""
        refuse_outside_the_demo()
        self._people()
        self._stores()
        self._policies()
        self._campaigns()
        self._wait_for_orders()
        self._conversations(options["base_url"].rstrip("/"))
        if options["keys"]:
            demo_keys.write(options["keys"], people=("alice", "sara"), shops=SHOPS)
        self.stdout.write(
            f"{Conversation.objects.count()} conversations, {Order.objects.count()} orders"
        )

    def _say(self, progress: str) -> None:
        self.stdout.write(progress)
        self.stdout.flush()

    def _people(self) -> None:
        for username, first, last, group in PEOPLE:
            user, is_new = User.objects.get_or_create(
                username=username,
                defaults={
                    "first_name": first,
                    "last_name": last,
                    # Another help desk identifies agents by email address (docs/sidebar.md).
                    "email": f"{username}@demo.example",
                },
            )
            if is_new:
                user.set_password(PASSWORD)
                user.save(update_fields=["password"])
            user.groups.add(Group.objects.get(name=group))
        if not User.objects.filter(username="admin").exists():
            User.objects.create_superuser("admin", "admin@example.com", PASSWORD)

    def _stores(self) -> None:
        for domain, keys in SHOPS.items():
            if not Store.objects.filter(domain=domain).exists():
                self._say(f"Connecting {domain} …")
                # Its checks belong in the log; standard output is for progress.
                call_command("connect_store", shop=domain, **keys, stdout=self.stderr)

    def _policies(self) -> None:
        """Create limits high enough not to get in the way, so that there are some to look at."""
        agents, supervisors = (Group.objects.get(name=n) for n in (roles.AGENTS, roles.SUPERVISORS))
        Policy.objects.get_or_create(
            role=agents,
            store=None,
            defaults={
                "refund_up_to": 250,
                "refund_per_day": 5000,
                "note_above": 200,
                "approval_up_to": 2000,
            },
        )
        Policy.objects.get_or_create(
            role=supervisors, store=None, defaults={"refund_up_to": 1000, "may_approve_up_to": 2000}
        )

    def _campaigns(self) -> None:
        for name, columns, translations in CAMPAIGNS:
            campaign, _is_new = Campaign.objects.get_or_create(name=name, defaults=columns)
            for language, (subject, body) in translations.items():
                CampaignTranslation.objects.get_or_create(
                    campaign=campaign,
                    language=language,
                    defaults={"subject": subject, "body": body},
                )
        # The campaigns send the confirmations, so Shopify's own are off unless an agent asks.
        Store.objects.filter(domain__in=SHOPS).update(notify_by_default=False)

    def _wait_for_orders(self) -> None:
        """Wait for the workers to back-fill the demo's two shops.

        Only the first time and only for those two: a shop that was connected later may be slow,
        empty or gone, and must not keep the demo from starting again.
        """
        if Conversation.objects.exists():
            return
        ours = Order.objects.filter(store__domain__in=SHOPS, store__is_active=True)
        wanted = Store.objects.active().filter(domain__in=SHOPS).count()
        until, said = time.monotonic() + WAIT_S, -1
        while time.monotonic() < until:
            # Orders a back-fill read only in part are completed when viewed; complete them now.
            mark_partial_dirty(ours)
            unread = ours.filter(deleted_at=None).filter(Q(document="") | Q(is_partial=True))
            begun = ours.order_by().values("store").distinct().count()
            if (
                begun == wanted
                and not get_gateway().wake_search(emails=[], phones=[])
                and not unread.exists()
            ):
                return
            if (read := ours.exclude(document="").count()) // 50 > said:
                said = read // 50
                self._say(f"Reading orders from Shopify: {read} so far …")
            time.sleep(0.5)
        raise CommandError(f"The orders didn't arrive within {WAIT_S} s: check the worker's log.")

    def _conversations(self, base_url: str) -> None:
        if Channel.objects.filter(name="Messenger").exists():
            return
        self._say("Writing conversations …")
        # The messenger has verified its users' addresses; the widget's visitors type any.
        proven = Channel.objects.create(name="Messenger", proves_addresses=True)
        unproven = Channel.objects.create(name="Chat widget")
        # Agents write first by email (an order's page → Start a conversation).
        Channel.objects.create(name="Support mail", kind=ChannelKind.EMAIL)
        keys = {channel.pk: channel_keys.new_key(channel) for channel in (proven, unproven)}
        pool = urllib3.PoolManager(retries=urllib3.Retry(3, backoff_factor=0.5))
        now = timezone.now()
        for story in sorted(CONVERSATIONS, key=lambda s: -s.said[-1].hours_ago):
            channel = unproven if story.is_unproven else proven
            for number, said in enumerate(story.said):
                at = now - timedelta(hours=said.hours_ago)
                if said.by:
                    self._colleague(channel, story, said.by, said.text, at, is_note=said.is_note)
                else:
                    self._push(
                        pool,
                        f"{base_url}/api/v1/channels/{channel.pk}/messages/",
                        keys[channel.pk],
                        story,
                        f"{story.key}-{number}",
                        said,
                        at.isoformat(),
                    )
            conversation = Conversation.objects.get(channel=channel, external_id=story.key)
            # Backdate the arrival: all of this happened in the past.
            conversation.messages.update(arrived_at=F("created_at"))
            said_last = [said.hours_ago for said in story.said if not said.is_note][-1]
            last = now - timedelta(hours=said_last)
            Conversation.objects.filter(pk=conversation.pk).update(last_message_at=last)
            if story.assignee:
                services.assign(
                    conversation=conversation, to=User.objects.get(username=story.assignee)
                )
            if story.language:
                Contact.objects.filter(pk=conversation.contact_id).update(language=story.language)

    def _push(
        self,
        pool: urllib3.PoolManager,
        url: str,
        key: str,
        story: Story,
        external_id: str,
        said: Said,
        sent_at: str,
    ) -> None:
        writer = said.copied or story
        body = {
            "external_id": external_id,
            "conversation": story.key,
            "sender": {
                "external_id": writer.email or story.key,
                "name": writer.name,
                "email": writer.email,
                "phone": "" if said.copied else story.phone,
            },
            "text": said.text,
            "sent_at": sent_at,
        }
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        answer = pool.request("POST", url, body=json.dumps(body).encode(), headers=headers)
        if answer.status not in {200, 201}:
            raise CommandError(f"{url} answered {answer.status}: {answer.data[:300]!r}")

    def _colleague(
        self,
        channel: Channel,
        story: Story,
        username: str,
        text: str,
        at: datetime,
        *,
        is_note: bool,
    ) -> None:
        conversation = Conversation.objects.get(channel=channel, external_id=story.key)
        write = services.note if is_note else services.reply
        message = write(
            conversation=conversation, by=User.objects.get(username=username), text=text
        )
        # Backdate it to the story's past.
        Message.objects.filter(pk=message.pk).update(created_at=at)
