"""What is deleted in whole when a customer's data is redacted."""

from __future__ import annotations

from collections.abc import Callable

from inbox.models import (
    Contact,
    Conversation,
    Participant,
)
from inbox.personal_data.data_subjects import OWN
from orders.privacy.registry import (
    REGISTRY,
    Rows,
    Scope,
    Wiper,
)


def _wipe(model: type[Conversation | Participant | Contact], of: Callable[[Scope], Rows]) -> Wiper:
    # One batch per call; the caller repeats it until nothing is left.
    def wipe(scope: Scope, limit: int) -> int:
        for part in scope.parts(OWN):
            if ids := list(of(part).values_list("pk", flat=True)[:limit]):
                model.objects.filter(pk__in=ids).delete()
                return len(ids)
        return 0

    return wipe


REGISTRY.wipers |= {
    "inbox.Conversation": _wipe(
        Conversation, lambda scope: Conversation.objects.filter(contact__in=scope.ids(OWN))
    ),
    "inbox.Participant": _wipe(
        Participant, lambda scope: Participant.objects.filter(contact__in=scope.ids(OWN))
    ),
    "inbox.Contact": _wipe(Contact, lambda scope: Contact.objects.filter(pk__in=scope.ids(OWN))),
}
