"""Every message names its sender, and each participant in a conversation is a separate person."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection, migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState, StateApps
from django.test import Client
from django.utils import timezone

from inbox.contacts import address_edits, identities
from inbox.conversations import participants
from inbox.models import Channel, Contact, Conversation, Identity, Message, Participant
from orders.models import AuditEntry, AuditKind, Store
from tests.inbox.conversations.test_senders import JANE, contact_of, push
from tests.inbox.conversations.test_senders import addresses as values

pytestmark = pytest.mark.django_db(transaction=True)
BOB = {"external_id": "u-2", "name": "Bob Miller", "email": "bob@example.com"}


def talk() -> Conversation:
    return Conversation.objects.get(external_id="c-9")


def page(client: Client, path: str = "") -> str:
    return unescape(client.get(path or f"/inbox/conversations/{talk().pk}/").content.decode())


@pytest.fixture
def both(channel: Channel) -> tuple[Contact, Contact]:
    """Jane's conversation, and Bob who writes in it as well."""
    push(channel, JANE)
    push(channel, BOB, text="I am copied in. Refund #77 to me!", external_id="b-1")
    bob = Participant.objects.get(external_id="u-2").contact
    return contact_of("c-9"), bob


def test_each_message_names_its_sender(both: tuple[Contact, Contact]) -> None:
    jane, bob = both
    senders = Message.objects.order_by("pk").values_list("sender__contact", "sender__address")
    assert list(senders) == [(jane.pk, "jane@example.com"), (bob.pk, "bob@example.com")]
    assert jane != bob
    assert talk().contact == jane


def test_a_participant_neither_lends_nor_takes_addresses(both: tuple[Contact, Contact]) -> None:
    jane, bob = both
    assert values(jane) == {"jane@example.com"}
    assert values(bob) == {"bob@example.com"}
    assert identities.order_keys(jane).emails == ["jane@example.com"]


def test_an_order_named_by_a_participant_says_nothing_about_the_contact(
    both: tuple[Contact, Contact],
) -> None:
    jane, bob = both
    assert "#77" not in identities.text_of(talk())
    assert "#77" not in identities.text_by(jane)
    assert "#77" in identities.text_by(bob)


def test_a_known_person_keeps_their_contact_in_another_conversation(
    channel: Channel, both: tuple[Contact, Contact]
) -> None:
    push(channel, BOB, talk="bobs")
    assert contact_of("bobs") == both[1]
    # By another account, the address they have proven says who it is.
    push(channel, BOB | {"external_id": "u-22"}, text="From home", external_id="b-3")
    assert Participant.objects.get(external_id="u-22").contact == both[1]
    assert talk().contact == both[0]


def test_a_visitor_who_logs_in_is_known_in_every_message(channel: Channel) -> None:
    """As before: the conversation follows its own contact and no other."""
    push(channel, JANE, talk="jane")
    visitor = {"external_id": "v-1", "name": "Visitor"}
    push(channel, visitor)
    push(channel, visitor | {"email": "jane@example.com"}, text="It is me", external_id="v-2")
    assert talk().contact == contact_of("jane")
    assert talk().participants.get().contact == contact_of("jane")
    # Another person's login in the conversation doesn't move it.
    push(channel, BOB, talk="bobs")
    guest = {"external_id": "v-9", "name": "Guest"}
    push(channel, guest, text="Hello", external_id="g-1")
    push(channel, guest | {"email": "bob@example.com"}, text="I am Bob", external_id="g-2")
    assert talk().contact == contact_of("jane")
    assert talk().participants.get(external_id="v-9").contact == contact_of("bobs")


def test_the_page_names_who_wrote_and_leads_to_them(
    both: tuple[Contact, Contact], as_alice: Client
) -> None:
    _jane, bob = both
    text = page(as_alice)
    assert "with Bob Miller" in text
    assert "bob@example.com" in text
    assert f'class="author" href="/inbox/contacts/{bob.pk}/"' in text
    theirs = page(as_alice, f"/inbox/contacts/{bob.pk}/")
    assert "bob@example.com" in theirs
    assert f"/inbox/conversations/{talk().pk}/" in theirs
    assert "Its contact is Jane Doe." in theirs


def test_alone_the_contact_is_not_named_at_every_message(
    channel: Channel, as_alice: Client
) -> None:
    push(channel, JANE)
    assert 'class="author"' not in page(as_alice)
    assert "others-menu" not in page(as_alice)


def test_messages_from_before_senders_were_kept_are_the_contacts(
    both: tuple[Contact, Contact], as_alice: Client
) -> None:
    Message.objects.filter(sender__contact=both[0]).update(sender=None)
    assert '<span class="author"><bdi>Jane Doe</bdi></span>' in page(as_alice)
    assert "#1043" in identities.text_of(talk())


def test_an_agent_hands_the_conversation_to_who_writes_in_it(
    both: tuple[Contact, Contact], as_alice: Client, alice: User
) -> None:
    jane, bob = both
    chosen = Participant.objects.get(contact=bob)
    where = f"/inbox/conversations/{talk().pk}/contact/"
    said = as_alice.post(where, {"participant": chosen.pk}, follow=True).content.decode()
    assert "Bob Miller is now this conversation’s contact." in said
    assert talk().contact == bob
    entry = AuditEntry.objects.get(kind=AuditKind.IDENTITY)
    assert entry.actor_id == alice.pk
    assert entry.detail == {
        "conversation": talk().pk,
        "contact": bob.pk,
        "was": jane.pk,
        "because": "wrote here",
    }
    # Jane's next message does not take it back, and is still hers.
    assert "with Jane Doe" in page(as_alice)


@pytest.mark.parametrize("who", ["", "0", "999", "x", "stranger"])
def test_only_who_writes_in_it_can_become_its_contact(
    both: tuple[Contact, Contact], channel: Channel, as_alice: Client, who: str
) -> None:
    push(channel, BOB, talk="elsewhere")
    foreign = Participant.objects.get(conversation__external_id="elsewhere")
    where = f"/inbox/conversations/{talk().pk}/contact/"
    word = str(foreign.pk) if who == "stranger" else who
    said = as_alice.post(where, {"participant": word}, follow=True).content.decode()
    assert "isn’t in this conversation" in said
    assert talk().contact == both[0]


def test_a_press_on_an_old_page_hands_over_nothing_that_a_colleague_has(
    both: tuple[Contact, Contact], channel: Channel, as_alice: Client, alice: User
) -> None:
    jane, bob = both
    push(channel, {"external_id": "u-3", "name": "Carol"}, text="Me too", external_id="k-1")
    carol = Participant.objects.get(external_id="u-3")
    shown = f'name="instead_of" value="{jane.pk}"'
    assert shown in page(as_alice)
    participants.make_contact(
        conversation=talk(), participant=Participant.objects.get(contact=bob), by=alice
    )
    where = f"/inbox/conversations/{talk().pk}/contact/"
    wish = {"participant": carol.pk, "instead_of": jane.pk}
    said = as_alice.post(where, wish, follow=True).content.decode()
    assert "Someone else changed this in the meantime" in said
    assert talk().contact == bob
    as_alice.post(where, wish | {"instead_of": bob.pk})
    assert talk().contact == carol.contact


def test_a_conversation_is_handed_to_the_writers_current_contact(
    both: tuple[Contact, Contact], alice: User
) -> None:
    """A message came in after the page was read: the visitor has proven who they are."""
    chosen = Participant.objects.get(contact=both[1])
    known = Contact.objects.create(name="Robert Miller")
    Participant.objects.filter(pk=chosen.pk).update(contact=known)
    participants.make_contact(conversation=talk(), participant=chosen, by=alice)
    assert talk().contact == known


def test_who_only_looks_hands_nothing_over(
    both: tuple[Contact, Contact], admin_client: Client
) -> None:
    chosen = Participant.objects.get(contact=both[1])
    where = f"/inbox/conversations/{talk().pk}/contact/"
    admin_client.post(where, {"participant": chosen.pk})
    assert talk().contact == both[0]


@pytest.mark.parametrize("name", ["\u200b\u200b", "\u202e", " \t", "\u3164", "\x07"])
def test_a_name_that_cannot_be_seen_is_none(channel: Channel, as_alice: Client, name: str) -> None:
    push(channel, {"external_id": "z", "name": name})
    contact = contact_of("c-9")
    assert contact.name == ""
    assert f"<bdi>Contact {contact.pk}</bdi>" in page(as_alice, "/inbox/")
    # One that was taken in before is shown in the same way.
    Contact.objects.update(name="\u200b\u200b")
    for path in ("/inbox/", f"/inbox/contacts/{contact.pk}/", ""):
        assert f"Contact {contact.pk}" in page(as_alice, path)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  Jane \n Doe ", "Jane Doe"),
        ("J\u00adane\u200b Doe", "Jane Doe"),
        ("\u202eenaJ", "enaJ"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("عائشة", "عائشة"),
        ("<b>Robert</b>", "<b>Robert</b>"),
    ],
)
def test_a_name_keeps_what_can_be_seen(channel: Channel, given: str, kept: str) -> None:
    push(channel, {"external_id": "z", "name": given})
    assert contact_of("c-9").name == kept


def test_upgrading_makes_the_contacts_participants(channel: Channel, alice: User) -> None:
    """Migration 0013: where it is known under which id they write; old messages stay as shown."""
    migration: Any = import_module("inbox.migrations.0013_participants")
    push(channel, JANE, talk="one")
    push(channel, BOB, talk="two")
    unknown = Conversation.objects.create(
        channel=channel, contact=Contact.objects.create(name="Old"), external_id="three"
    )
    Identity.objects.create(
        contact=contact_of("two"), kind="channel_user", value=f"{channel.pk}:u-99"
    )
    Message.objects.update(sender=None, arrived_at=timezone.now() + timedelta(days=1))
    Participant.objects.all().delete()
    migration.add_participants(apps, None)
    migration.add_participants(apps, None)
    migration.set_arrivals(apps, None)
    made = Participant.objects.get()
    assert (made.conversation.external_id, made.contact.name) == ("one", "Jane Doe")
    assert (made.external_id, made.name) == ("u-1", "Jane Doe")
    assert not unknown.participants.exists()
    assert all(m.arrived_at == m.created_at for m in Message.objects.all())


def test_upgrading_leaves_alone_what_came_in_since(channel: Channel) -> None:
    """Cut off after an hour and run again: what arrived late in between stays late."""
    migration: Any = import_module("inbox.migrations.0013_participants")
    push(channel, JANE)
    late = timezone.now() + timedelta(days=1)
    Message.objects.update(arrived_at=late)
    migration.set_arrivals(apps, None)
    assert Message.objects.get().arrived_at == late


def test_upgrading_changes_tables_last_and_all_at_once() -> None:
    """A second run would stumble over a column that the first has made already."""
    migration: Any = import_module("inbox.migrations.0013_participants")
    *data, tables = migration.Migration.operations
    assert {type(step) for step in data} == {migrations.RunPython}
    assert not any(step.atomic for step in data), "each batch commits by itself"
    assert type(tables) is migration.Together


def test_tables_that_are_changed_together_are_changed_or_not() -> None:
    together: Any = import_module("inbox.migrations.0013_participants").Together
    name = "inbox_cut_off"

    class First(migrations.Migration):
        operations = [
            migrations.CreateModel("Cut_Off", [("id", models.AutoField(primary_key=True))])
        ]

    def breaks(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
        raise ZeroDivisionError

    class Second(migrations.Migration):
        atomic = False
        operations = [
            together(
                [
                    migrations.AddField("Cut_Off", "size", models.IntegerField(null=True)),
                    migrations.RunPython(breaks),
                ]
            )
        ]

    state = ProjectState()
    with connection.schema_editor() as editor:
        First("first", "inbox").apply(state, editor)
    try:
        with pytest.raises(ZeroDivisionError), connection.schema_editor(atomic=False) as editor:
            Second("second", "inbox").apply(state.clone(), editor)
        with connection.cursor() as cursor:
            columns = connection.introspection.get_table_description(cursor, name)
        assert [column.name for column in columns] == ["id"]
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(state.apps.get_model("inbox", "Cut_Off"))


def test_upgrading_brings_addresses_into_one_spelling(channel: Channel) -> None:
    migration: Any = import_module("inbox.migrations.0013_participants")
    push(channel, JANE)
    jane, other = contact_of("c-9"), Contact.objects.create(name="Other")
    rows = [
        Identity(contact=jane, kind="email", value="Jane.Two@Example.COM"),
        Identity(contact=other, kind="email", value="JANE@example.com"),
        Identity(contact=other, kind="email", value="No Address"),
    ]
    Identity.objects.bulk_create(rows)
    migration.normalize_identities(apps, None)
    assert values(jane) == {"jane@example.com", "jane.two@example.com"}
    assert values(other) == set()
    gone = Identity.objects.filter(contact=other)
    assert {row.source for row in gone} == {migration.WHY}
    assert all(row.removed_at for row in gone)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "typed", "kept"),
    [
        ("email", " Jane.Two@Example.COM ", "jane.two@example.com"),
        ("phone", "0049 151 12345678", "+4915112345678"),
        ("shopify_customer", "gid://shopify/Customer/7", "{store}:gid://shopify/Customer/7"),
        ("shopify_customer", " 5:gid://shopify/Customer/7", "5:gid://shopify/Customer/7"),
        ("email", "Jane Two", ""),
        ("phone", "extension 12", ""),
        ("shopify_customer", "7", ""),
    ],
)
def test_an_administrator_types_an_address_in_any_spelling(
    admin_client: Client, as_alice: Client, channel: Channel, kind: str, typed: str, kept: str
) -> None:
    store = Store.objects.create(domain="demo.myshopify.com", name="Demo")
    push(channel, JANE)
    contact = contact_of("c-9")
    form = {
        "name": "Jane Doe",
        "language": "",
        "identities-TOTAL_FORMS": "1",
        "identities-INITIAL_FORMS": "0",
        "identities-0-kind": kind,
        "identities-0-value": typed,
        "identities-0-contact": contact.pk,
    }
    answer = admin_client.post(f"/admin/inbox/contact/{contact.pk}/change/", form)
    found = contact.identities.filter(kind=kind, source="").values_list("value", flat=True)
    assert answer.status_code == (302 if kept else 200)
    assert list(found) == ([kept.format(store=store.pk)] if kept else [])
    if not kept:
        assert "Enter " in answer.content.decode()
    for path in (f"/inbox/contacts/{contact.pk}/", f"/inbox/conversations/{talk().pk}/"):
        assert as_alice.get(path).status_code == 200


def test_with_two_stores_a_bare_customer_id_matches_no_one(channel: Channel) -> None:
    from django.core.exceptions import ValidationError
    from django.db import IntegrityError

    for domain in ("demo.myshopify.com", "second.myshopify.com"):
        Store.objects.create(domain=domain)
    push(channel, JANE)
    row = Identity(
        contact=contact_of("c-9"), kind="shopify_customer", value="gid://shopify/Customer/7"
    )
    with pytest.raises(ValidationError, match="the store’s ID and the customer’s"):
        row.full_clean()
    with pytest.raises(IntegrityError):
        row.save()


@pytest.mark.parametrize("value", ["x", ":", "1", "gid://a", "9" * 30 + ":gid", "١:gid", "-1:gid"])
def test_an_invalid_customer_row_links_to_no_one(
    channel: Channel, as_alice: Client, value: str
) -> None:
    """From before the rule: the pages are there all the same."""
    push(channel, JANE)
    contact = contact_of("c-9")
    row = Identity(contact=contact, kind="shopify_customer", value=value)
    if not value.startswith("gid:"):
        Identity.objects.bulk_create([row])
    assert identities.customer_key(value)[0] == 0
    assert identities.order_keys(contact).customer_gids == []
    for path in (f"/inbox/contacts/{contact.pk}/", f"/inbox/conversations/{talk().pk}/"):
        assert as_alice.get(path).status_code == 200


def test_agents_are_told_where_to_give_an_address_back(
    channel: Channel, as_alice: Client, alice: User
) -> None:
    push(channel, JANE)
    contact = contact_of("c-9")
    address_edits.remove_identity(identity=contact.identities.get(kind="email"), by=alice)
    at = f"/inbox/contacts/{contact.pk}/identities/"
    said = as_alice.post(at, {"value": "jane@example.com"}, follow=True).content.decode()
    assert "Use “Removed from this contact” to restore it" in unescape(said)
    assert "Restore" in said
    assert "alice" in said
