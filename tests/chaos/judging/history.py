"""Invariants between our rows, the shop's ledger and the rules, for any history. Pure.

Three questions, each answered with a sentence for everything that is wrong:
`violations`: does each action say what happened to its money and its order? `without_end`: does
each action end? `sent_against_rules`: was anything sent that the rules didn't allow then?
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

_MARKER: Final = re.compile(r"\[ax:([0-9a-f]+)\]")
NOTHING_DONE: Final = frozenset({"rejected", "withdrawn", "declined", "expired"})
SETTLED: Final = NOTHING_DONE | {"succeeded", "reversed", "partial", "awaiting_bank"}
# A supervisor finds it under Decisions: for the machine that is an end as well.
ENDED: Final = SETTLED | {"needs_human"}
LONGEST: Final = timedelta(hours=24)
_MOVES: Final = frozenset({"SUCCESS", "PENDING"})
_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionFact:
    """One of our actions, as its row is. `kind` and `amount`: what it was to do."""

    id: int
    order: str
    kind: str
    state: str
    marker: str
    key: str
    amount: Decimal | None
    currency: str = ""
    message: str = ""
    asked_at: datetime | None = None
    # The return it was to go through; "": none.
    through: str = ""

    @property
    def cancels(self) -> bool:
        return self.kind in {"cancel", "cancel_and_refund"}

    @property
    def refunds(self) -> bool:
        return self.kind in {"refund", "cancel_and_refund"}

    def __str__(self) -> str:
        return f"action {self.id} ({self.kind}, {self.state})"


def facts_of(actions: Iterable[Any]) -> list[ActionFact]:
    """From OrderAction rows (order selected)."""
    return [
        ActionFact(
            id=a.pk,
            order=a.order.gid,
            kind=a.kind,
            state=a.state,
            marker=a.marker,
            key=str(a.idempotency_key),
            amount=a.amount,
            currency=a.currency,
            message=a.message,
            asked_at=a.requested_at,
            through=(a.proposal.get("through") or {}).get("gid", ""),
        )
        for a in actions
    ]


@dataclass(frozen=True, slots=True)
class Happened:
    """What the shop's books say that one action did: whether it canceled its order, and its
    refunds."""

    canceled: bool
    refunds: tuple[Mapping[str, Any], ...]

    @property
    def booked(self) -> Decimal:
        """All that was booked, whether or not the bank carried it out."""
        return sum((Decimal(r["amount"]) for r in self.refunds), _ZERO)

    @property
    def arrived(self) -> Decimal:
        return self._sum({"SUCCESS"})

    @property
    def moving(self) -> Decimal:
        """What arrived or still may."""
        return self._sum(_MOVES)

    @property
    def live_refunds(self) -> int:
        return sum(any(t["status"] in _MOVES for t in _parts(r)) for r in self.refunds)

    @property
    def asked_for(self) -> bool:
        """By a refund of its own, and not only as the money leg of its cancellation."""
        return any(not refund.get("cancel_note") for refund in self.refunds)

    @property
    def anything(self) -> bool:
        return self.canceled or bool(self.refunds)

    def is_all_of(self, action: ActionFact) -> bool:
        """Everything that was asked for was done; a bank may still say no."""
        if action.cancels and not self.canceled:
            return False
        return not action.refunds or self.moving == action.amount

    def _sum(self, statuses: Iterable[str]) -> Decimal:
        found = [t for r in self.refunds for t in _parts(r) if t["status"] in statuses]
        return sum((Decimal(t["amount"]) for t in found), _ZERO)


class Books:
    """The practice store's ledger, sorted by whose doing each entry is.

    Ours is what the API was asked for with the action's key or marker, and the refund of a
    cancellation with its marker. What staff do in Shopify is theirs, whatever their note says.
    """

    def __init__(self, actions: Sequence[ActionFact], ledger: Mapping[str, Any]) -> None:
        self._markers = {action.key: action.marker for action in actions}
        self._canceled = {
            (c["order"], _marker(c["staff_note"]))
            for c in ledger["cancelations"]
            if c.get("made_by") != "staff"
        }
        self._refunds: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        self.unexplained: list[str] = []
        known = {action.marker for action in actions}
        for refund in ledger["refunds"]:
            if refund.get("made_by") == "staff":
                continue
            marker = self._owner(refund)
            if marker in known:
                self._refunds[marker].append(refund)
            else:
                self.unexplained.append(f"a refund of unknown action {marker or refund['id']}")

    def happened(self, action: ActionFact) -> Happened:
        return Happened(
            (action.order, action.marker) in self._canceled, tuple(self._refunds[action.marker])
        )

    def _owner(self, refund: Mapping[str, Any]) -> str:
        by_key = self._markers.get(refund["idempotency_key"] or "", "")
        return by_key or _marker(refund["note"]) or _marker(refund.get("cancel_note"))


def violations(
    actions: Sequence[ActionFact],
    ledger: Mapping[str, Any],
    *,
    accepted: Iterable[int] = (),
    is_drained: bool = True,
) -> list[str]:
    """Each broken guarantee as a sentence. `ledger` is the practice store's; `accepted` are ids
    of actions a caller was promised; `is_drained`: everybody had the time to find out how it
    ended, so that what was right an hour ago is no excuse."""
    books = Books(actions, ledger)
    broken = []
    for action in actions:
        happened = books.happened(action)
        found = [*_money_wrong(action, happened), *_told_wrong(action, happened)]
        if is_drained:
            found += _never_corrected(action, happened)
        broken += [f"{action}: {what}" for what in found]
    ids = {action.id for action in actions}
    broken += [f"action {pk} was accepted and is lost" for pk in accepted if pk not in ids]
    return broken + books.unexplained + _over_refunded(ledger) + _goods_wrong(ledger)


def _money_wrong(action: ActionFact, happened: Happened) -> Iterable[str]:
    """Never, not even for a moment."""
    if happened.live_refunds > 1:
        yield f"refunded {happened.live_refunds} times"
    asked = action.amount or _ZERO
    if happened.moving > asked:
        yield f"{happened.moving} moved instead of {asked}"
    elif happened.asked_for and happened.booked != asked:
        # What a cancellation returns may be less: staff refund while Shopify is at it.
        yield f"{happened.booked} booked instead of {asked}"
    if beside := [r for r in happened.refunds if (r.get("return") or "") != action.through]:
        yield f"refunded through {beside[0].get('return') or 'no return'}"
    currencies = {refund["currency"] for refund in happened.refunds}
    if action.currency and currencies - {action.currency}:
        yield f"refunded in {', '.join(sorted(currencies))} instead of {action.currency}"


def _told_wrong(action: ActionFact, happened: Happened) -> Iterable[str]:
    """What its state says and the books deny. Also never."""
    if action.state in NOTHING_DONE and happened.anything:
        yield "said not to have happened, and it did"
    if action.state in {"succeeded", "awaiting_bank", "reversed"}:
        if action.cancels and not happened.canceled:
            yield "done, and the order is not canceled"
        if action.refunds and not happened.refunds:
            yield "done without a refund"
    if action.state == "partial" and not happened.canceled:
        yield "said to be half done, and nothing is"


def _never_corrected(action: ActionFact, happened: Happened) -> Iterable[str]:
    """What may be said for a while, until a bank, a job or a replica has come round."""
    if action.state not in ENDED:
        yield f"still open: {action.message}"
    asked = action.amount or _ZERO
    if not action.refunds:
        return
    if action.state == "succeeded" and happened.refunds and happened.arrived < asked:
        yield f"done, and {happened.arrived} of {asked} arrived"
    if action.state == "awaiting_bank" and happened.moving == happened.arrived:
        yield "waits for a bank that has answered"
    if action.state == "reversed" and happened.moving == asked:
        yield "said to have failed at the bank, and it arrived"
    if action.state == "partial" and happened.moving == asked:
        yield "said to be half done, and the refund arrived"


def without_end(actions: Iterable[ActionFact], *, now: datetime) -> list[str]:
    """Actions that were asked for more than 24 hours ago and neither ended nor wait in
    Decisions."""
    return [
        f"{action}: without an end after 24 hours: {action.message}"
        for action in actions
        if action.state not in ENDED
        and action.asked_at is not None
        and now - action.asked_at > LONGEST
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What was true when a request left. What the shop's replicas may still have hidden from us
    is not yet true here.

    `ruling`: what the requester's policy says now: "" allowed as it is, else "refused" or
    "approval" where more approvals are needed than were given. `moves`: what the request pays
    out, or the sum its cancellation returns; None: none. `left`: what the order still holds.
    """

    store_is_active: bool = True
    store_is_frozen: bool = False
    requester_is_active: bool = True
    ruling: str = ""
    is_delivered: bool = False
    has_new_dispute: bool = False
    has_other_customer: bool = False
    credit_is_on: bool = True
    moves: Decimal | None = None
    left: Decimal | None = None
    confirmed: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """A request that left for Shopify, by its first byte. `again`: this step had been sent
    before, and may have been applied; then only the store's own switches hold it back.
    `is_seen_done`: our own copy of the order showed this step done."""

    action: int
    goal: str
    again: bool
    is_seen_done: bool = False
    is_store_credit: bool = False
    world: World


def sent_against_rules(sends: Iterable[Send]) -> list[str]:
    """A sentence for each rule that each request broke at its moment."""
    return [
        f"action {send.action}: {send.goal} sent {'again ' if send.again else ''}although {why}"
        for send in sends
        for why in _why_not(send)
    ]


def _why_not(send: Send) -> Iterable[str]:
    world = send.world
    if world.store_is_frozen:
        yield "the store was frozen"
    if not world.store_is_active:
        yield "the store was switched off"
    if send.is_seen_done:
        yield "it had been seen done"
    if send.again:
        return
    if not world.requester_is_active:
        yield "the requester was deactivated"
    if world.ruling:
        yield f"the policy said {world.ruling}"
    if world.has_new_dispute:
        yield "a dispute had been opened"
    if world.is_delivered and send.goal != "refund":
        yield "the order was delivered"
    if world.moves is not None and world.left is not None and world.moves > world.left:
        yield f"only {world.left} of {world.moves} was left"
    if world.moves is not None and world.confirmed is not None and world.moves > world.confirmed:
        yield f"{world.moves} would be returned where {world.confirmed} was confirmed"
    if send.is_store_credit and not world.credit_is_on:
        yield "store credit was switched off"
    if send.is_store_credit and world.has_other_customer:
        yield "the order had another customer"


def _over_refunded(ledger: Mapping[str, Any]) -> list[str]:
    paid: Counter[str] = Counter()
    returned: Counter[str] = Counter()
    for moved in ledger["transactions"]:
        # Cents keep Counter's integers; three decimals are the most a currency has.
        thousandths = int(Decimal(moved["amount"]) * 1000)
        if moved["kind"] in {"SALE", "CAPTURE"} and moved["status"] == "SUCCESS":
            paid[moved["order"]] += thousandths
        elif moved["kind"] == "REFUND" and moved["status"] in _MOVES:
            returned[moved["order"]] += thousandths
    return [
        f"{order}: more refunded than paid" for order in returned if returned[order] > paid[order]
    ]


def _goods_wrong(ledger: Mapping[str, Any]) -> list[str]:
    """Units that were put back more often than they came, or processed more often than there are
    any. Of a line with returns, only what they booked in may change the stock."""
    shelved: Counter[str] = Counter()
    for row in ledger.get("stock", ()):
        shelved[row["line"]] += row["quantity"]
    booked: Counter[str] = Counter()
    broken = []
    for back in ledger.get("returns", ()):
        for line in back["lines"]:
            units = sum(d["quantity"] for d in line["dispositions"])
            booked[line["line"]] += sum(
                d["quantity"] for d in line["dispositions"] if d["type"] == "RESTOCKED"
            )
            most = max(units, line["processed"], line["refunded"])
            if most > line["quantity"]:
                broken.append(f"{back['id']}: {most} units of {line['quantity']}")
    broken += [
        f"{line}: {shelved[line]} units back in stock where {booked[line]} came back"
        for line in booked
        if shelved[line] != booked[line]
    ]
    return broken


def _parts(refund: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Its transactions; a ledger without them tells sums only."""
    found: Sequence[Mapping[str, Any]] = refund.get("transactions") or (
        {"status": "SUCCESS", "amount": refund["amount"]},
    )
    return found


def _marker(note: str | None) -> str:
    found = _MARKER.search(note or "")
    return found[1] if found else ""
