"""Access checks for conversations, contacts and their orders; views load them only through here."""

from __future__ import annotations

from functools import reduce
from operator import or_

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from rest_framework.request import Request

from inbox.accounts import roles
from inbox.accounts.roles import Agent
from inbox.contacts import (
    customer_views,
    identities,
    matching,
)
from inbox.models import (
    Claim,
    Contact,
    Conversation,
    ConversationState,
    HelpDeskFrame,
    IdentityKind,
    Participant,
)
from inbox.models.conversations import conversation_id, order_page_id
from inbox.visibility import scope_of
from orders import policies
from orders.errors import Refusal
from orders.models import Order, OrderAction


def agent_of(request: HttpRequest | Request) -> User:
    """Return the user behind a request. Raises PermissionDenied unless they may enter the inbox."""
    if not isinstance(request.user, User) or not roles.may_work(request.user):
        raise PermissionDenied
    return request.user


def conversations_for(agent: Agent) -> QuerySet[Conversation]:
    """Return the conversations this agent may see (inbox.visibility)."""
    return scope_of(agent).conversations().select_related("contact", "channel", "team", "assignee")


def get_conversation(agent: Agent, pk: int) -> Conversation:
    """Return a conversation the agent may see, and record that they saw it. Raises Http404."""
    found = get_object_or_404(conversations_for(agent), pk=pk)
    customer_views.note_contact(agent, found.contact_id)
    return found


def get_contact(agent: Agent, pk: int) -> Contact:
    """Return a contact the agent may see, and record that they saw it. Raises Http404."""
    found = get_object_or_404(scope_of(agent).contacts(), pk=pk)
    customer_views.note_contact(agent, found.pk)
    return found


def get_order(agent: Agent, pk: int) -> Order:
    """Return an order the agent may see, with its store. Raises Http404."""
    return get_object_or_404(scope_of(agent).orders().select_related("store"), pk=pk)


def get_action(agent: Agent, pk: int) -> OrderAction:
    """Return an action on an order of a store the agent may see. Raises Http404."""
    rows = scope_of(agent).actions()
    rows = rows.select_related("order__store", "requested_by", "approved_by")
    return get_object_or_404(rows, pk=pk)


def acting_refusal(agent: Agent, conversation: Conversation) -> Refusal | None:
    """Return why the agent may not act on the customer's orders from a conversation.

    The assigned agent may until the conversation is resolved; supervisors always may. The order
    panel and the REST API share this rule.
    """
    # An anonymous user's pk is None, and so is the assignee of an unassigned conversation.
    is_mine = conversation.assignee_id == agent.pk and agent.pk is not None
    is_over = conversation.state == ConversationState.RESOLVED
    if (is_mine and not is_over) or roles.is_supervisor(agent):
        return None
    if is_mine:
        return _resolved()
    return Refusal(
        "not_assigned",
        _("Assign this to yourself to act"),
        _("Only the agent assigned to this conversation can cancel or refund."),
    )


def money_refusal_for_order(agent: Agent, order: Order) -> Refusal | None:
    """Return why the agent may not move this order's money when they start from the order (REST).

    At least one contact the agent may act for must certainly own the order. An order whose
    customer never wrote in has no contact, and so no doubt either: it was found by its number.
    """
    if refusal := acting_refusal_for_order(agent, order):
        return refusal
    contacts = identities.contacts_of(order)
    if not roles.is_supervisor(agent):
        mine = _in_hand(agent, contacts)
        contacts = sorted(set(mine.values_list("contact_id", flat=True)))
    return _uncertain(order, contacts)


def acting_refusal_on_page(agent: Agent, order: Order) -> Refusal | None:
    """Return why the agent may not act on an order on its own page.

    If its customer has a conversation, with whichever team, the assignee decides there, and so
    here. An order without a conversation has no assignee: `unassigned_refusal` says who acts on it.
    Expects an order that the agent may see.
    """
    if has_conversation(order):
        return acting_refusal_for_order(agent, order)
    return unassigned_refusal(agent, order)


def money_refusal_on_page(agent: Agent, order: Order) -> Refusal | None:
    """Return why the agent may not move this order's money on its own page."""
    if has_conversation(order):
        return money_refusal_for_order(agent, order)
    contacts = identities.contacts_of(order)
    return unassigned_refusal(agent, order) or _uncertain(order, contacts)


def unassigned_refusal(agent: Agent, order: Order) -> Refusal | None:
    """Return why the agent may not act on an order without a conversation.

    Supervisors may. Agents may if the setting ORDERS_WITHOUT_CONVERSATION lets them: a help desk
    that shows our panel has conversations and assignees of its own, which we don't know here.
    """
    if refusal := policies.acting_refusal(agent):
        return refusal
    if roles.is_supervisor(agent):
        return None
    return _not_for_agents() or unproven_refusal(order)


def _not_for_agents() -> Refusal | None:
    who = settings.ORDERS_WITHOUT_CONVERSATION
    if who == "supervisors":
        return Refusal(
            "not_assigned",
            _("Only supervisors act on orders without a conversation."),
            _("Ask a supervisor."),
        )
    if who != "agents" and HelpDeskFrame.objects.filter(is_active=True).exists():
        return Refusal(
            "not_assigned",
            _("This order has no conversation here, but it may have one in your help desk."),
            _("Act in the help desk, where the assigned agent decides, or ask a supervisor."),
        )
    return None


def unproven_refusal(order: Order) -> Refusal | None:
    """Return why agents may not act as if no one had written: someone did.

    Either someone gave the order's email address or phone number without proof in a conversation of
    theirs, or the order's customer takes part in another contact's conversation. Resolved ones don't
    count. Three queries at most.
    """
    open_ones = Conversation.objects.exclude(state=ConversationState.RESOLVED)
    taking_part = Participant.objects.filter(conversation__in=open_ones)
    if (claims := _claims_of(order)) is not None:
        claimants = claims.values("contact")
        if (
            open_ones.filter(contact__in=claimants).exists()
            or taking_part.filter(contact__in=claimants).exists()
        ):
            return Refusal(
                "unproven_customer",
                _("Someone wrote with this order’s address but didn’t verify it."),
                _("A supervisor has to confirm it first."),
            )
    owners = identities.contacts_of(order)
    if owners and taking_part.filter(contact__in=owners).exists():
        return Refusal(
            "not_assigned",
            _("This customer takes part in another person’s conversation."),
            _("Make them that conversation’s contact, or ask a supervisor."),
        )
    return None


def _claims_of(order: Order) -> QuerySet[Claim] | None:
    """Return the unproven claims of the order's addresses; None if it has no address."""
    kinds = ((IdentityKind.EMAIL, order.email), (IdentityKind.PHONE, order.phone))
    given = [Q(kind=kind, value=value) for kind, value in kinds if value]
    return Claim.objects.understood().filter(reduce(or_, given)) if given else None


def has_conversation(order: Order) -> bool:
    """Return whether the order's customer has a conversation with any team, whether or not the
    agent sees it."""
    return Conversation.objects.filter(contact__in=identities.contacts_of(order)).exists()


def withdrawing_refusal_on_page(agent: Agent, action: OrderAction) -> Refusal | None:
    """Return why the agent may not withdraw an action on its order's own page.

    Without a conversation only its requester and supervisors may: it may have been requested in
    another help desk, by the agent who is assigned there.
    """
    if action.requested_by_id == agent.pk or has_conversation(action.order):
        return withdrawing_refusal(agent, action)
    if refusal := policies.acting_refusal(agent):
        return refusal
    if roles.is_supervisor(agent):
        return None
    return Refusal(
        "not_assigned",
        _("Only the person who requested this and supervisors can undo it."),
        _("Ask one of them."),
    )


def withdrawing_refusal(agent: Agent, action: OrderAction) -> Refusal | None:
    """Return why the agent may not withdraw an action when they start from its order (REST).

    What was requested on an order's own page, its requester may withdraw: the customer may have
    written since, and someone else may be assigned. So may whoever requested an action on an order
    without a conversation.
    """
    if action.requested_by_id == agent.pk and (
        order_page_id(action.origin) or not has_conversation(action.order)
    ):
        return policies.acting_refusal(agent)
    return acting_refusal_for_order(agent, action.order)


def approving_refusal(order: Order) -> Refusal | None:
    """Return why an action on this order can't be approved: doubt about the order's owner.

    The doubt may have come up after the action was requested.
    """
    return _uncertain(order, identities.contacts_of(order))


def certain_contacts(order: Order) -> list[int]:
    """Return IDs of contacts who certainly own the order and so may be messaged about it."""
    found = Contact.objects.filter(pk__in=identities.contacts_of(order))
    return [c.pk for c in found if matching.matching_of(c, order).refusal(order) is None]


def sending_refusal(action: OrderAction, order: Order) -> Refusal | None:
    """Return why an action must not go to Shopify: doubt that its contact still owns the order.

    Runs under the order's lock, as one of the rules in orders.actions.added_rules.
    """
    pk = conversation_id(action.origin)
    if pk is None:
        # Requested elsewhere, without a contact: any contact who certainly owns the order will do.
        return approving_refusal(order)
    contact = Contact.objects.filter(conversations=pk).first()
    if contact is None:
        # The conversation has been deleted since.
        return approving_refusal(order)
    if contact.pk not in identities.contacts_of(order):
        return Refusal(
            "unproven_customer",
            _("This order is no longer confirmed as belonging to this contact."),
            _("Check the contact’s addresses in the conversation."),
        )
    return _uncertain(order, [contact.pk])


def is_sender_verified(order: Order) -> bool | None:
    """Return whether a verified address shows that the order's customer wrote.

    False if someone wrote with the order's address without proof, or if the contact might not own
    the order; None if no contact belongs to it.
    """
    if unproven_refusal(order):
        return False
    contacts = identities.contacts_of(order)
    return _uncertain(order, contacts) is None if contacts else None


def _uncertain(order: Order, contacts: list[int]) -> Refusal | None:
    """Return None if one of the contacts certainly owns the order, or if there are no contacts."""
    refusals = []
    for contact in Contact.objects.filter(pk__in=contacts):
        refusal = matching.matching_of(contact, order).refusal(order)
        if refusal is None:
            return None
        refusals.append(refusal)
    return refusals[0] if refusals else None


def acting_refusal_for_order(agent: Agent, order: Order) -> Refusal | None:
    """Return why the agent may not act on an order when they start from the order (REST).

    Any unresolved conversation with its customer that is assigned to the agent is enough.
    """
    if roles.is_supervisor(agent):
        return None
    contacts = identities.contacts_of(order)
    if _in_hand(agent, contacts).exists():
        return None
    if _assigned(agent, contacts).exists():
        return _resolved()
    if not Conversation.objects.filter(contact__in=contacts).exists():
        return Refusal(
            "not_assigned",
            _("This customer hasn’t written, so no conversation is assigned to you."),
            _("Open the order’s own page in the inbox to act on it."),
        )
    return Refusal(
        "not_assigned",
        _("None of this customer’s conversations is assigned to you."),
        _("Assign one of the customer’s conversations to yourself first."),
    )


def _in_hand(agent: Agent, contacts: list[int]) -> QuerySet[Conversation]:
    """Return this agent's unresolved conversations with these contacts."""
    return _assigned(agent, contacts).exclude(state=ConversationState.RESOLVED)


def _assigned(agent: Agent, contacts: list[int]) -> QuerySet[Conversation]:
    mine = scope_of(agent).conversations()
    return mine.filter(contact__in=contacts, assignee_id=agent.pk)


def _resolved() -> Refusal:
    return Refusal(
        "conversation_resolved",
        _("Reopen the conversation first."),
        _("You can’t cancel or refund from a resolved conversation."),
    )
