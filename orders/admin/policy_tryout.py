"""Try a policy out: how it would rule on a request, before the policy is saved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.contrib.auth.models import AnonymousUser, Group, User

from core.dashboard import DESK, Tone
from orders import policies
from orders.errors import InvalidMoney
from orders.models import ActionKind, CancelRule, Policy, Store
from orders.money import Money
from orders.previews import amount_input

_MAX_NAMES: Final = 8


class TrialForm(forms.Form):
    """A hypothetical request. Sums are in the shop's currency, like the limits."""

    who = forms.ChoiceField(
        label="Who", help_text="The most generous policy of a person's roles applies."
    )
    store = forms.ModelChoiceField(Store.objects.all(), label="At", empty_label=None)
    kind = forms.ChoiceField(
        label="Wants to", choices=ActionKind.choices, initial=ActionKind.REFUND
    )
    amount = forms.CharField(
        label="Amount",
        required=False,
        max_length=30,
        initial=lambda: _initial_amount("50"),
        help_text="In the store's currency. Ignored for a cancellation without a refund.",
    )
    spent = forms.CharField(
        label="Already refunded today",
        required=False,
        max_length=30,
        initial=lambda: _initial_amount("0"),
        help_text="Without approval, in the last 24 hours.",
    )
    has_note = forms.BooleanField(label="With a staff note", required=False)

    prefix = "if"

    def __init__(
        self,
        data: Any = None,
        *,
        initial: dict[str, Any] | None = None,
        user: User | AnonymousUser,
    ) -> None:
        """`user` is the person at the page, who is offered only the stores and people they see."""
        super().__init__(data, initial=initial, label_suffix="")
        roles = [(f"role:{group.pk}", group.name) for group in Group.objects.order_by("name")]
        people = [
            (f"user:{user.pk}", user.get_full_name() or user.username)
            for user in DESK.choices(user, User.objects.filter(is_active=True)).order_by("username")
        ]
        self.fields["store"].queryset = DESK.choices(  # type: ignore[attr-defined]
            user, Store.objects.all()
        )
        self.fields["who"].choices = [("Roles", roles), ("People", people)]  # type: ignore[attr-defined]
        for name in ("amount", "spent"):
            self.fields[name].widget.attrs |= {"inputmode": "decimal", "autocomplete": "off"}

    def clean(self) -> dict[str, object]:
        """Parse the amounts in the store's currency; a cancellation needs none."""
        cleaned = super().clean() or {}
        store: Store | None = cleaned.get("store")
        currency = (store.currency if store else "") or "USD"
        for name in ("amount", "spent"):
            is_unused = name == "amount" and cleaned.get("kind") == ActionKind.CANCEL
            try:
                text = cleaned.get(name) or "0"
                cleaned[name] = None if is_unused else amount_input.read(text, currency)
            except InvalidMoney as error:
                self.add_error(name, str(error))
        amount = cleaned.get("amount")
        if "amount" not in self.errors and amount is not None and not amount:
            self.add_error("amount", "Enter the amount to refund.")
        return cleaned


def _initial_amount(amount: str) -> str:
    return amount_input.write(Money(Decimal(amount), ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer the page shows. `policy`: which policy applied; `people`: who could approve."""

    tone: Tone
    title: str
    text: str = ""
    policy: str = ""
    people: str = ""


def verdict(form: TrialForm, typed: Policy | None) -> Verdict:
    """The ruling if `typed`, a policy with unsaved input, were in force."""
    saved = Policy.objects.select_related("role", "store")
    others = [policy for policy in saved if typed is None or policy.pk != typed.pk]
    all_policies = [*others, typed] if typed is not None else others
    asked: dict[str, Any] = form.cleaned_data
    store: Store = asked["store"]
    users = list(User.objects.filter(is_active=True).prefetch_related("groups"))
    kind, _sep, pk = asked["who"].partition(":")
    asker = next((u for u in users if kind == "user" and u.pk == int(pk)), None)
    roles = _roles(asker) if asker else {int(pk)}
    policy = policies.effective(all_policies, roles=roles, store_id=store.pk)
    amount: Money | None = asked["amount"]
    ruling = policies.judge(
        policy,
        kind=ActionKind(asked["kind"]),
        amount=amount,
        spent=asked["spent"].amount,
        has_note=asked["has_note"],
        # The conditions are about an order and its customer, which are not given here.
        facts=None,
    )
    counted = _policy_text(policy, typed)
    if ruling.refusal:
        needs_note = ruling.refusal.code == "note_missing"
        return Verdict(
            tone="attention" if needs_note else "critical",
            title="Needs a staff note" if needs_note else "Refused",
            text=f"{ruling.refusal.reason} {ruling.refusal.hint}".strip(),
            policy=counted,
        )
    if not ruling.approvals:
        return Verdict(
            tone="success" if policy else "warning",
            title="Allowed without approval",
            text=_budget_left_text(policy, amount, asked["spent"]),
            policy=counted,
        )
    able = [u for u in users if u != asker and _may_approve(u, all_policies, store, amount)]
    enough = len(able) >= ruling.approvals
    who = "one other person" if ruling.approvals == 1 else "two other people"
    return Verdict(
        tone="warning" if enough else "critical",
        title=f"Needs approval by {who}",
        text=ruling.why,
        policy=counted,
        people=_approvers_text(able, ruling.approvals),
    )


@dataclass(frozen=True, slots=True)
class Allowance:
    """A row of the "who may do what" table; `cells` are in the order of ALLOWANCE_HEADS."""

    role: str
    store: str
    cells: tuple[str, ...]
    is_unlimited: bool


ALLOWANCE_HEADS: Final = (
    "Refunds without approval",
    "In 24 hours",
    "Staff note above",
    "Can request",
    "Two approvers above",
    "Cancels",
    "Can approve",
    "Also needs approval",
)


def allowances(
    all_policies: Sequence[Policy], roles: Iterable[Group], stores: Sequence[Store]
) -> list[Allowance]:
    """What every role may do at every store, by the policy that applies there. Pure."""
    found = []
    for role in roles:
        for store in stores:
            policy = policies.effective(all_policies, roles={role.pk}, store_id=store.pk)
            if policy is None:
                cells = (
                    "no limit",
                    "no limit",
                    "never",
                    "any amount",
                    "never",
                    "Allowed",
                    "no one",
                    "never",
                )
                found.append(Allowance(role.name, str(store), cells, True))
                continue
            found.append(
                Allowance(role.name, str(store), policy_cells(policy, store.currency), False)
            )
    return found


def _amount_text(amount: Decimal, currency: str) -> str:
    """Format a sum, with its currency if there is one; a general policy has none."""
    return (
        Money(amount, currency).format("en")
        if currency
        else f"{amount:,.{Money(amount, '').places}f}"
    )


def policy_cells(policy: Policy, currency: str) -> tuple[str, ...]:
    """Describe a policy's limits, in the order of ALLOWANCE_HEADS."""

    def up_to(limit: Decimal | None, unlimited: str, zero: str = "") -> str:
        if limit is None:
            return unlimited
        if not limit and zero:
            return zero
        return f"up to {_amount_text(limit, currency)}"

    def above(limit: Decimal | None) -> str:
        return "never" if limit is None else _amount_text(limit, currency)

    return (
        up_to(policy.refund_up_to, "no limit", "never"),
        up_to(policy.refund_per_day, "no limit", "nothing"),
        above(policy.note_above),
        up_to(policy.approval_up_to, "any amount", "nothing"),
        above(policy.two_approvers_above),
        str(CancelRule(policy.cancel).label),
        up_to(policy.may_approve_up_to, "any amount", "no one"),
        ", ".join(policy.conditions) or "never",
    )


def _roles(user: User) -> set[int]:
    return {group.pk for group in user.groups.all()}


def _may_approve(
    user: User, all_policies: list[Policy], store: Store, amount: Money | None
) -> bool:
    # The policy part of services.approval_refusal; a cancellation without refund has no amount.
    policy = policies.effective(all_policies, roles=_roles(user), store_id=store.pk)
    if amount is None:
        return policy is not None and policy.may_approve_up_to != 0
    return policies.may_approve(policy, amount) is None


def _policy_text(policy: Policy | None, typed: Policy | None) -> str:
    if policy is None:
        return "No policy applies to them here, so there is no limit."
    where = "as filled in above" if policy is typed else "as saved"
    text = f"The policy of {policy.role} at {policy.store or 'every store'} applies, {where}."
    if named := ", ".join(policy.conditions):
        text += f" Approval may also be needed because of: {named}."
    return text


def _budget_left_text(policy: Policy | None, amount: Money | None, spent: Money) -> str:
    if policy is None or policy.refund_per_day is None or amount is None:
        return ""
    left = Money(policy.refund_per_day, amount.currency) - spent - amount
    return f"After it {left.format('en')} of the daily limit would be left."


def _approvers_text(able: list[User], needed: int) -> str:
    if not able:
        return "No one could approve this: no one else has a role that can approve this amount."
    names = [user.get_full_name() or user.username for user in able]
    shown = ", ".join(names[:_MAX_NAMES])
    more = len(names) - _MAX_NAMES
    text = f"{shown} and {more} more" if more > 0 else shown
    if len(able) < needed:
        return f"Only {text} could approve it, but two people are needed."
    return f"Could approve it: {text}."
