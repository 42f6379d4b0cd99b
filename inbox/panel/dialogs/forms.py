"""Forms of the cancel and refund dialogs; a valid form turns into a choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from orders.errors import InvalidMoney
from orders.models import ActionKind, Order, RefundMethod, Returned
from orders.money import Money
from orders.previews import (
    DISCREPANCY_REASONS,
    REFUND_REASONS,
    STAFF_NOTE_LENGTH,
    CancelChoice,
    Proposal,
    RefundChoice,
    amount_input,
)
from orders.shopify_port import (
    CancelReason,
    get_gateway,
)
from orders.snapshot import LineItem, LineQuantity
from orders.statuses import return_units

NOTE_LENGTH = STAFF_NOTE_LENGTH


def as_typed(proposal: Proposal, order: Order) -> list[tuple[str, str]]:
    """Return the form fields, as (name, value), that reproduce a proposal's dialog for the order
    as it is now."""
    amount = amount_input.write(proposal.amount) if proposal.amount else ""
    fields = {
        "reason": proposal.reason,
        "method": proposal.method,
        "staff_note": proposal.staff_note,
        "amount": amount,
    }
    boxes = {"restock": proposal.restock, "notify": proposal.notify}
    if proposal.kind == ActionKind.REFUND:
        fields["mode"] = Mode.AMOUNT if proposal.is_amount_only else Mode.ITEMS
        fields["discrepancy_reason"] = proposal.discrepancy_reason
        if not proposal.is_amount_only:
            fields["amount"] = ""
            fields["items_amount"] = amount if proposal.difference else ""
        fields["returned"] = proposal.returned
        fields["through"] = through = _through(proposal)
        fields["shipping"] = amount_input.write(proposal.shipping) if proposal.shipping else ""
        chosen = {line.line_gid: line.quantity for line in proposal.lines}
        limits = limits_of(order, through)
        for index, line in enumerate(_refundable(order.snapshot.lines, limits)):
            quantity = min(chosen.get(line.gid, 0), limits[line.gid])
            fields[f"line_{index}"] = str(quantity)
    else:
        fields["refund"] = "now" if proposal.amount else "later"
        boxes["cancel_shipments"] = bool(proposal.shipments_to_cancel)
    ticked = [(name, "on") for name, is_on in boxes.items() if is_on]
    return [*((name, str(value)) for name, value in fields.items()), *ticked]


def _through(proposal: Proposal) -> str:
    return proposal.through.gid if proposal.through else proposal.asked_through or ""


def limits_of(order: Order, through: str) -> Mapping[str, int]:
    """Return the units of each line, by gid, that the dialog offers.

    These are the units in the return with the ID `through`, or those in no return (""). If the
    store doesn't let us process returns, they are simply all refundable units.
    """
    snapshot = order.snapshot
    if not get_gateway().may_process_returns(order.store):
        return Counter({line.gid: line.refundable_quantity for line in snapshot.lines})
    return return_units.limits(snapshot, through)


def _refundable(lines: Sequence[LineItem], limits: Mapping[str, int]) -> list[LineItem]:
    return [line for line in lines if limits.get(line.gid, 0) > 0]


class NoteField(forms.CharField):
    """Multi-line text, measured as the page counts it: a browser counts a line end as one
    character but submits two."""

    def to_python(self, value: Any) -> Any:
        """Count a line end as one character."""
        text = super().to_python(value)
        return text.replace("\r\n", "\n") if text else text


class AmountField(forms.CharField):
    """An amount typed in the agent's locale, parsed into Money with the currency and the decimal
    places of `like`. Empty is None."""

    def __init__(self, *, like: Money, **options: Any) -> None:
        self.like = like
        super().__init__(max_length=40, **options)

    def prepare_value(self, value: object) -> object:
        """Write Money in the agent's locale; text stays as it was typed."""
        return amount_input.write(value) if isinstance(value, Money) else value

    def clean(self, value: object) -> Money | None:
        """Raise ValidationError if the text is not an amount or can be read two ways."""
        text = super().clean(value)
        if not text:
            return None
        try:
            return amount_input.read(text, self.like.currency, places=self.like.places)
        except InvalidMoney as error:
            raise forms.ValidationError(str(error)) from error


class CancelForm(forms.Form):
    """The cancel dialog. No reason is preselected, so that the agent has to choose one."""

    refund = forms.ChoiceField(
        choices=[("now", _("Refund now")), ("later", _("Refund later"))], required=False
    )
    # Always parsed, though not always shown: the preview refuses a method that the store doesn't
    # allow, whereas dropping the field would silently send the money elsewhere.
    method = forms.ChoiceField(choices=RefundMethod.choices, required=False)
    restock = forms.BooleanField(required=False)
    notify = forms.BooleanField(required=False)
    cancel_shipments = forms.BooleanField(required=False)
    staff_note = NoteField(max_length=NOTE_LENGTH, required=False)

    def __init__(
        self,
        data: Mapping[str, object] | None = None,
        *,
        reasons: Sequence[CancelReason],
        net_paid: Money,
        initial: dict[str, object] | None = None,
    ) -> None:
        super().__init__(data, initial=initial)
        self.net_paid = net_paid
        self.fields["reason"] = forms.ChoiceField(
            choices=[(reason.value, reason.label) for reason in reasons],
            error_messages={"required": _("Choose a reason for the cancellation.")},
        )
        self.fields["amount"] = AmountField(like=net_paid, required=False)

    @property
    def whole(self) -> str:
        """The full refundable amount, formatted as the field holds it."""
        return amount_input.write(self.net_paid)

    def clean(self) -> dict[str, object]:
        """Require an amount above zero and up to what was paid, if it is refunded now."""
        cleaned = super().clean() or {}
        if self.net_paid and cleaned.get("refund") == "now" and "amount" not in self.errors:
            amount = cleaned.get("amount")
            zero = Money.zero(self.net_paid.currency)
            if amount is None or not zero < amount <= self.net_paid:
                maximum = self.net_paid.format()
                text = _("Enter an amount above 0 and up to %(maximum)s.") % {"maximum": maximum}
                self.add_error("amount", text)
        return cleaned

    def choice(self) -> CancelChoice:
        """Return the agent's choice; the form must be valid."""
        data = self.cleaned_data
        wants_refund = bool(self.net_paid) and data["refund"] != "later"
        return CancelChoice(
            reason=data["reason"],
            amount=data["amount"] if wants_refund else None,
            method=RefundMethod(data["method"] or RefundMethod.ORIGINAL),
            restock=data["restock"],
            notify=data["notify"],
            staff_note=data["staff_note"].strip(),
            cancel_shipments=data["cancel_shipments"],
        )


class Mode(TextChoices):
    """What is refunded. The fields of the other mode are ignored."""

    ITEMS = "items", _("Items")
    AMOUNT = "amount", _("Amount only")


class RefundForm(forms.Form):
    """The refund dialog: items and shipping, or an amount that is tied to neither.

    A form submitted by a program may omit the mode; then the filled-in fields decide.
    """

    mode = forms.ChoiceField(choices=Mode.choices, required=False)
    reason = forms.ChoiceField(
        choices=lambda: [("", ""), *REFUND_REASONS.items()],
        error_messages={"required": _("Choose a reason for the refund.")},
    )
    discrepancy_reason = forms.ChoiceField(
        choices=lambda: [("", ""), *DISCREPANCY_REASONS.items()], required=False
    )
    method = forms.ChoiceField(choices=RefundMethod.choices, required=False)
    # The return that the items are in; hidden, because links choose it.
    through = forms.CharField(max_length=100, required=False)
    restock = forms.BooleanField(required=False)
    notify = forms.BooleanField(required=False)
    staff_note = NoteField(max_length=NOTE_LENGTH, required=False)

    def __init__(
        self,
        data: Mapping[str, object] | None = None,
        *,
        lines: Sequence[LineItem],
        limits: Mapping[str, int],
        net_paid: Money,
        is_delivered: bool,
        initial: dict[str, object] | None = None,
    ) -> None:
        super().__init__(data, initial=initial)
        self.lines = _refundable(lines, limits)
        self.net_paid = net_paid
        # The amount-only sum, the sum for items if not the calculated one, and the shipping.
        for name in ("amount", "items_amount", "shipping"):
            self.fields[name] = AmountField(like=net_paid, required=False)
        self.fields["returned"] = forms.ChoiceField(
            choices=Returned.choices,
            required=is_delivered,
            error_messages={"required": _("Say whether the item has come back.")},
        )
        for index, line in enumerate(self.lines):
            self.fields[f"line_{index}"] = forms.IntegerField(
                min_value=0, max_value=limits[line.gid], required=False
            )

    def line_fields(self) -> list[tuple[LineItem, forms.BoundField]]:
        """Pair each refundable line with its quantity field."""
        return [(line, self[f"line_{index}"]) for index, line in enumerate(self.lines)]

    @property
    def shown_return(self) -> str:
        """The ID of the return whose items the dialog shows; "" for none or unspecified."""
        found = self.data.get("through", "") if self.is_bound else self.initial.get("through", "")
        return str(found)

    @property
    def is_amount_only(self) -> bool:
        """Whether an amount without items is refunded. Expects a cleaned form, valid or not."""
        mode = self.cleaned_data.get("mode")
        if mode:
            return bool(mode == Mode.AMOUNT)
        return not self.chosen_lines() and not self.cleaned_data.get("shipping")

    def chosen_lines(self) -> tuple[LineQuantity, ...]:
        """Return the chosen quantities from the valid part of a cleaned form."""
        if self.cleaned_data.get("mode") == Mode.AMOUNT:
            return ()
        return tuple(
            LineQuantity(line_gid=line.gid, quantity=quantity)
            for index, line in enumerate(self.lines)
            if (quantity := self.cleaned_data.get(f"line_{index}"))
        )

    @property
    def chosen_shipping(self) -> Money | None:
        """The shipping to refund, from the valid part of a cleaned form."""
        found: Money | None = self.cleaned_data.get("shipping")
        return None if self.is_amount_only else found

    @property
    def chosen_amount(self) -> Money | None:
        """The typed amount; None means the one that Shopify calculates."""
        data = self.cleaned_data
        names: dict[str, list[str]] = {Mode.AMOUNT: ["amount"], Mode.ITEMS: ["items_amount"]}
        typed: list[Money | None] = [
            data.get(name) for name in names.get(data.get("mode") or "", ["amount", "items_amount"])
        ]
        return next((amount for amount in typed if amount is not None), None)

    def clean(self) -> dict[str, object]:
        """Require something to refund, within what is left, in the mode that is shown."""
        cleaned = super().clean() or {}
        self._clear_the_other_mode(cleaned)
        for name in ("amount", "items_amount"):
            self._check_amount(name, cleaned.get(name))
        has_goods = bool(self.chosen_lines() or self.chosen_shipping)
        mode = cleaned.get("mode")
        if self.errors:
            return cleaned
        if mode == Mode.AMOUNT and cleaned.get("amount") is None:
            self.add_error("amount", self._range_error)
        elif mode == Mode.ITEMS and not has_goods:
            self.add_error(None, _("Choose items or shipping to refund."))
        elif not has_goods and self.chosen_amount is None:
            self.add_error(None, _("Choose items, shipping or an amount to refund."))
        return cleaned

    def _clear_the_other_mode(self, cleaned: dict[str, Any]) -> None:
        """Clear the fields of the mode that isn't shown, so that they can neither be refunded nor
        cause an error."""
        of_items = [
            "items_amount",
            "discrepancy_reason",
            "shipping",
            "restock",
            "returned",
            *(f"line_{index}" for index in range(len(self.lines))),
        ]
        other: dict[str, list[str]] = {Mode.AMOUNT: of_items, Mode.ITEMS: ["amount"]}
        for name in other.get(cleaned.get("mode") or "", []):
            self.errors.pop(name, None)
            cleaned[name] = None

    @property
    def _range_error(self) -> str:
        text = _("Enter an amount above 0 and up to %(maximum)s.")
        return text % {"maximum": self.net_paid.format()}

    def _check_amount(self, name: str, amount: Money | None) -> None:
        if amount is not None and not Money.zero(amount.currency) < amount <= self.net_paid:
            self.add_error(name, self._range_error)

    def choice(self) -> RefundChoice:
        """Return the agent's choice; the form must be valid."""
        data = self.cleaned_data
        # With an amount only, there are no items that could have come back.
        unasked = Returned.NOT_NEEDED if data["mode"] == Mode.AMOUNT else Returned.NOT_ASKED
        return RefundChoice(
            reason=data["reason"],
            lines=self.chosen_lines(),
            shipping=self.chosen_shipping,
            amount=self.chosen_amount,
            discrepancy_reason=data["discrepancy_reason"] or "",
            method=RefundMethod(data["method"] or RefundMethod.ORIGINAL),
            restock=bool(data["restock"]),
            notify=data["notify"],
            staff_note=data["staff_note"].strip(),
            returned=data["returned"] or unasked,
            # A program may omit the field; then the items determine the return.
            through=data["through"] if "through" in self.data else None,
        )
