"""Map transactions, refunds, disputes and suggested refunds."""

from __future__ import annotations

import dataclasses

from orders.money import Money, total
from orders.shopify_port import (
    Place,
    SuggestedLine,
    SuggestedRefund,
    SuggestedTransaction,
)
from orders.snapshot import Dispute, MoneyBag, Refund, RefundTransaction, Transaction
from shopify_sync.mapping.goods import line_quantity
from shopify_sync.mapping.values import (
    Json,
    MalformedAnswer,
    dig,
    each,
    nodes,
    to_bag,
    to_count,
    to_rate,
    to_text,
    to_time,
    well_formed,
)


def suggested_refund(data: Json) -> SuggestedRefund:
    """Map a `suggestedRefund`. Raises MalformedAnswer."""
    with well_formed():
        return _suggested(data)


def suggested_return(data: Json) -> SuggestedRefund | None:
    """Map the answer to SuggestedReturn; None if Shopify suggests no outcome.

    Raises MalformedAnswer.
    """
    outcome = dig(data, "return", "suggestedFinancialOutcome")
    if not outcome or not dig(outcome, "financialTransfer", "amount", "presentmentMoney"):
        return None
    transfer = outcome["financialTransfer"]
    plain = {
        "amountSet": transfer["amount"],
        "maximumRefundableSet": outcome.get("maximumRefundable"),
        "discountedSubtotalSet": outcome.get("discountedSubtotal"),
        "totalTaxSet": outcome.get("totalTax"),
        "shipping": outcome.get("shipping"),
        "suggestedTransactions": transfer.get("suggestedTransactions"),
    }
    with well_formed():
        lines = nodes(dig(data, "order", "suggestedRefund", "refundLineItems"))
        places = {
            to_text(dig(line, "lineItem", "id")): Place(
                to_text(dig(line, "location", "id")), to_text(dig(line, "location", "name"))
            )
            for line in lines
            if dig(line, "location", "id")
        }
        return dataclasses.replace(_suggested(plain), places=places)


def refund_snapshot(data: Json, shop: str, presentment: str) -> Refund:
    """Map the `refund` of Refund, given its order's currencies. Raises MalformedAnswer."""
    with well_formed():
        return refund(data, shop, presentment)


def transaction(data: Json, shop: str, presentment: str) -> Transaction:
    """Map an OrderTransaction; the currencies are those of a missing amount."""
    return Transaction(
        gid=data["id"],
        kind=to_text(data.get("kind")),
        status=to_text(data.get("status")),
        gateway=to_text(data.get("gateway")),
        gateway_label=to_text(data.get("formattedGateway")),
        is_manual=bool(data.get("manualPaymentGateway")),
        error_code=to_text(data.get("errorCode")),
        processed_at=to_time(data.get("processedAt")),
        amount=to_bag(data.get("amountSet"), shop, presentment),
        parent_gid=to_text(dig(data, "parentTransaction", "id")),
        account_number=to_text(data.get("accountNumber")),
        acquirer_reference=to_text(
            dig(data, "shopifyPaymentsSet", "refundSet", "acquirerReferenceNumber")
        ),
        settlement_currency=to_text(data.get("settlementCurrency")),
        settlement_rate=to_rate(data.get("settlementCurrencyRate")),
    )


def refund(data: Json, shop: str, presentment: str) -> Refund:
    """Map a Refund inside `well_formed`; the currencies are those of a missing amount."""
    return Refund(
        gid=data["id"],
        created_at=to_time(data.get("createdAt")),
        note=to_text(data.get("note")),
        total=to_bag(data.get("totalRefundedSet"), shop, presentment),
        transactions=each(
            data.get("transactions"),
            lambda t: RefundTransaction(
                gid=t["id"],
                status=to_text(t.get("status")),
                gateway=to_text(t.get("gateway")),
                error_code=to_text(t.get("errorCode")),
                amount=to_bag(t.get("amountSet"), shop, presentment),
            ),
        ),
        lines=each(data.get("refundLineItems"), line_quantity),
        return_gid=to_text(dig(data, "return", "id")),
        duties=_duties(data, shop, presentment),
    )


def _duties(data: Json, shop: str, presentment: str) -> MoneyBag | None:
    """Return the part of a refund that is duties; None if there is none."""
    bags = [to_bag(d.get("amountSet"), shop, presentment) for d in nodes(data.get("duties"))]
    if not bags:
        return None
    return MoneyBag(
        shop=total((bag.shop for bag in bags), shop),
        presentment=total((bag.presentment for bag in bags), presentment),
    )


def dispute(data: Json) -> Dispute:
    """Map a chargeback or inquiry."""
    return Dispute(gid=data["id"], status=to_text(data.get("status")))


def _place(location: Json | None) -> Place | None:
    return Place(location["id"], to_text(location.get("name"))) if location else None


def _suggested(data: Json) -> SuggestedRefund:
    if not dig(data, "amountSet", "presentmentMoney"):
        raise MalformedAnswer("a suggested refund without its amount")
    amount = to_bag(data["amountSet"], "", "").presentment
    currency = amount.currency

    def money(node: Json | None) -> Money:
        return to_bag(node, currency, currency).presentment

    return SuggestedRefund(
        amount=amount,
        maximum=money(data.get("maximumRefundableSet")),
        subtotal=money(data.get("discountedSubtotalSet")),
        tax=money(data.get("totalTaxSet")),
        shipping=money(dig(data, "shipping", "amountSet")),
        shipping_maximum=money(dig(data, "shipping", "maximumRefundableSet")),
        duties=money(data.get("totalDutiesSet")) or None,
        lines=each(
            data.get("refundLineItems"),
            lambda line: SuggestedLine(
                line_gid=line["lineItem"]["id"],
                quantity=to_count(line.get("quantity")),
                subtotal=money(line.get("subtotalSet")),
                tax=money(line.get("totalTaxSet")),
                restock=to_text(line.get("restockType")),
                place=_place(line.get("location")),
            ),
        ),
        transactions=each(
            data.get("suggestedTransactions"),
            lambda t: SuggestedTransaction(
                parent_gid=to_text(dig(t, "parentTransaction", "id")),
                gateway=to_text(t.get("gateway")),
                label=f"{to_text(t.get('formattedGateway') or t.get('gateway'))} "
                f"{to_text(t.get('accountNumber'))}".strip(),
                is_manual=bool(dig(t, "parentTransaction", "manualPaymentGateway")),
                amount=money(t.get("amountSet")),
                maximum=money(t.get("maximumRefundableSet")),
            ),
        ),
    )
