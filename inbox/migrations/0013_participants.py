"""Who wrote what: the participants of the conversations there are, and addresses in one spelling.

The steps that take long come first, in batches that commit one by one (hence not
atomic): on a large table nothing waits for long, and after an interruption they may run again.
The changes of tables come after them, all together or not at all: one that was made already would
stop a second run.
"""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import migrations, models
from django.db.models import F
from django.utils import timezone

from core.email_and_phone import email_key

BATCH = 2000
WHY = "Not in a form that finds anything: enter it again."


def _batches(model):
    """(first key, last key) of one batch after another."""
    last = model.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    start = model.objects.order_by("pk").values_list("pk", flat=True).first() or 0
    while start <= last and last:
        yield start, start + BATCH - 1
        start += BATCH


def set_arrivals(apps, schema_editor):
    """Migration 0010 gave every message there was the moment of the upgrade. What came in since
    names its sender, and when it arrived is true."""
    Message = apps.get_model("inbox", "Message")
    for first, last in _batches(Message):
        Message.objects.filter(
            pk__range=(first, last), sender=None, arrived_at__gt=F("created_at")
        ).update(arrived_at=F("created_at"))


def add_participants(apps, schema_editor):
    """The contact of each conversation, where it is known under which id they write there: by one
    only. Their messages of the past keep no sender, and are shown under the contact's name."""
    Conversation = apps.get_model("inbox", "Conversation")
    Identity = apps.get_model("inbox", "Identity")
    Participant = apps.get_model("inbox", "Participant")
    for first, last in _batches(Conversation):
        rows = list(
            Conversation.objects.filter(pk__range=(first, last)).values_list(
                "pk", "channel_id", "channel__kind", "contact_id", "contact__name", "created_at"
            )
        )
        users = {}
        known = Identity.objects.filter(
            kind="channel_user", removed_at=None, contact__in={row[3] for row in rows}
        )
        for contact_id, value in known.values_list("contact_id", "value"):
            channel_id, _sep, external_id = value.partition(":")
            users.setdefault((contact_id, channel_id), []).append(external_id)
        made = []
        for pk, channel_id, kind, contact_id, name, created_at in rows:
            ids = users.get((contact_id, str(channel_id)), [])
            if len(ids) == 1 and ids[0]:
                made.append(
                    Participant(
                        conversation_id=pk,
                        contact_id=contact_id,
                        external_id=ids[0][:200],
                        name=name,
                        address=_email(ids[0]) if kind == "email" else "",
                        joined_at=created_at,
                    )
                )
        Participant.objects.bulk_create(made, ignore_conflicts=True)


def normalize_identities(apps, schema_editor):
    """Addresses that the admin took as they were typed. What cannot be read, or is another
    contact's in its right spelling, is taken away and stays on the contact's page."""
    Identity = apps.get_model("inbox", "Identity")
    active = Identity.objects.filter(removed_at=None)
    odd = active.filter(kind="email", value__regex="[A-Z]") | active.filter(
        kind="shopify_customer", value__startswith="gid:"
    )
    for row in list(odd.order_by("pk")):
        value = _email(row.value) if row.kind == "email" else ""
        mine = Identity.objects.filter(pk=row.pk)
        if value and not active.filter(kind=row.kind, value=value).exclude(pk=row.pk).exists():
            mine.update(value=value)
        else:
            source = f"{row.source} – {WHY}" if row.source else WHY
            mine.update(removed_at=timezone.now(), source=source[:100])


def _email(text):
    address = email_key(text)
    try:
        validate_email(address)
    except ValidationError:
        return ""
    return address


class Together(migrations.SeparateDatabaseAndState):
    """In one transaction of their own, as the migration has none."""

    atomic = True

    def __init__(self, operations):
        super().__init__(database_operations=operations, state_operations=operations)

    def deconstruct(self):
        return self.__class__.__name__, [self.database_operations], {}


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("inbox", "0012_campaign_switched_on"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunPython(set_arrivals, migrations.RunPython.noop, atomic=False),
        migrations.RunPython(add_participants, migrations.RunPython.noop, atomic=False),
        migrations.RunPython(normalize_identities, migrations.RunPython.noop, atomic=False),
        Together(
            [
                migrations.AddField(
                    model_name="message",
                    name="attachments",
                    field=models.JSONField(
                        blank=True,
                        default=list,
                        help_text="Files the messenger has: name, url, content_type.",
                    ),
                ),
                migrations.AddField(
                    model_name="message",
                    name="cut_from",
                    field=models.PositiveIntegerField(
                        blank=True,
                        help_text="How many characters it had, where not all were kept.",
                        null=True,
                    ),
                ),
                migrations.AlterField(
                    model_name="message",
                    name="recipient",
                    field=models.CharField(
                        blank=True,
                        help_text="Where a reply goes, fixed when it was written: an e-mail address, or the messenger's own id of the person.",
                        max_length=255,
                    ),
                ),
                migrations.AlterField(
                    model_name="message",
                    name="text",
                    field=models.TextField(
                        blank=True, help_text="Empty: only files, or nothing we can show."
                    ),
                ),
                migrations.AlterField(
                    model_name="conversation",
                    name="last_message_at",
                    field=models.DateTimeField(
                        default=timezone.now,
                        help_text="When the last message arrived or was written here, or a snooze ended.",
                    ),
                ),
                migrations.AddConstraint(
                    model_name="identity",
                    constraint=models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "shopify_customer"), _negated=True),
                            models.Q(("value__startswith", "gid:"), _negated=True),
                            ("removed_at__isnull", False),
                            _connector="OR",
                        ),
                        name="inbox_identity_names_its_store",
                    ),
                ),
            ]
        ),
    ]
