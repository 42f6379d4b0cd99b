"""Which teams and stores may hear an announcement: streams carry no IDs of anyone else's rows.

Looked up by the process's one reader, once for all its streams, and only if there are teams.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from inbox.live.events import Event, Reading
from inbox.models import Conversation, Participant, Team
from inbox.visibility import Scope
from orders.models import Order

# Topics that name a row, by what decides who sees it.
_OF_CONVERSATION: Final = ("conversation", "conversation-orders")
_OF_CONTACT: Final = "contact"
_OF_ORDER: Final = "order"
# The hashed address of an order's customer, for panels without a contact.
_OF_PERSON: Final = "person"

Ids = frozenset[int]


def with_owners(reading: Reading) -> Reading:
    """Return the reading with the owners of each event's topics. At most five queries, one if there
    are no events or no teams."""
    if not reading.events or not Team.objects.exists():
        return reading
    ids = _ids_by_kind(topic for event in reading.events for topic in event.topics)
    conversations = {pk for kind in _OF_CONVERSATION for pk in ids[kind]}
    teams = _teams_of_conversations(conversations)
    of_contacts = _teams_of_contacts(ids[_OF_CONTACT])
    stores = dict(Order.objects.filter(pk__in=ids[_OF_ORDER]).values_list("pk", "store_id"))
    owners: dict[str, Ids] = {}
    for kind in _OF_CONVERSATION:
        owners |= {f"{kind}:{pk}": teams.get(pk, frozenset()) for pk in ids[kind]}
    owners |= {f"{_OF_CONTACT}:{pk}": of_contacts.get(pk, frozenset()) for pk in ids[_OF_CONTACT]}
    owners |= {
        f"{_OF_ORDER}:{pk}": frozenset({stores[pk]}) if pk in stores else frozenset()
        for pk in ids[_OF_ORDER]
    }
    events = (replace(event, owners=_of_event(event, owners)) for event in reading.events)
    return replace(reading, events=tuple(events))


def heard(event: Event, scope: Scope) -> list[str]:
    """Return the topics of an event that someone with this scope may hear.

    What names no row, such as "inbox", only says that a list may look different; it is dropped from
    an event about rows of which they see none.
    """
    if event.owners is None or scope.teams is None:
        return list(event.topics)
    named = [topic for topic in event.topics if _kind(topic) in _NAMING]
    seen = {topic for topic in named if _sees(topic, event.owners, scope)}
    if named and not seen:
        return []
    return [topic for topic in event.topics if topic in seen or topic not in named]


_NAMING: Final = frozenset({*_OF_CONVERSATION, _OF_CONTACT, _OF_ORDER, _OF_PERSON})


def _sees(topic: str, owners: Mapping[str, Ids], scope: Scope) -> bool:
    if topic not in owners:
        return True
    is_by_store = _kind(topic) in {_OF_ORDER, _OF_PERSON}
    mine = scope.stores if is_by_store else scope.teams
    return mine is None or not mine.isdisjoint(owners.get(topic, frozenset()))


def _of_event(event: Event, owners: Mapping[str, Ids]) -> dict[str, Ids]:
    found = {topic: owners[topic] for topic in event.topics if topic in owners}
    orders = [of for topic, of in found.items() if _kind(topic) == _OF_ORDER]
    if not orders:
        # People of many imported orders: hashes, which tell nothing to those who don't ask for them.
        return found
    # A person who is announced along with their order belongs to its store.
    people = (topic for topic in event.topics if _kind(topic) == _OF_PERSON)
    return found | dict.fromkeys(people, frozenset().union(*orders))


def _kind(topic: str) -> str:
    return topic.partition(":")[0]


def _ids_by_kind(topics: Iterable[str]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = defaultdict(set)
    for topic in topics:
        kind, _sep, pk = topic.partition(":")
        if pk.isdecimal():
            found[kind].add(int(pk))
    return found


def _teams_of_conversations(ids: set[int]) -> dict[int, Ids]:
    rows = Conversation.objects.in_place().filter(pk__in=ids, team__isnull=False)
    return {pk: frozenset({team}) for pk, team in rows.values_list("pk", "team_id") if team}


def _teams_of_contacts(ids: set[int]) -> dict[int, Ids]:
    if not ids:
        return {}
    there = Conversation.objects.in_place().filter(team__isnull=False)
    own = there.filter(contact__in=ids)
    joined = Participant.objects.filter(contact__in=ids, conversation__in=there)
    pairs = [
        *own.order_by().values_list("contact_id", "team_id").distinct(),
        *joined.order_by().values_list("contact_id", "conversation__team_id").distinct(),
    ]
    found: dict[int, set[int]] = defaultdict(set)
    for contact, team in pairs:
        found[contact].add(team)
    return {contact: frozenset(teams) for contact, teams in found.items()}
