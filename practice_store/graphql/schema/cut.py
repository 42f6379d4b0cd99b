"""Cut Shopify's Admin schema down to what the practice store can be asked.

The full file is all of a pre-release of 2026-10 (see NOTICE). Run
`python -m practice_store.graphql.schema.cut` after changing it or the lists below; a test fails
while the two files disagree.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Final

from graphql import (
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    print_schema,
)

FOLDER: Final = Path(__file__).parent
FULL: Final = FOLDER / "admin-2026-10.full.graphql.gz"
CUT: Final = FOLDER / "admin-2026-10.cut.graphql.gz"

QUERIES: Final = frozenset(
    [
        "shop",
        "currentAppInstallation",
        "publicApiVersions",
        "order",
        "orders",
        "ordersCount",
        "customer",
        "customers",
        "customersCount",
        "customerByIdentifier",
        "fulfillment",
        "fulfillmentOrder",
        "return",
        "returnableFulfillments",
        "refund",
        "node",
        "nodes",
        "job",
        "location",
        "locations",
        "reverseDelivery",
        "reverseFulfillmentOrder",
        "webhookSubscription",
        "webhookSubscriptions",
        "webhookSubscriptionsCount",
        "products",
        "collections",
        "automaticDiscountNode",
        "catalog",
        "inventoryShipment",
        "fulfillmentService",
        "customerPaymentMethod",
        "giftCard",
        "scriptTag",
        "shopifyFunction",
        "customerSegmentMembersQuery",
        "bulkOperation",
        "abandonedCheckouts",
    ]
)
MUTATIONS: Final = frozenset(
    [
        "orderCreate",
        "orderUpdate",
        "orderMarkAsPaid",
        "orderCapture",
        "transactionVoid",
        "orderClose",
        "orderOpen",
        "orderCancel",
        "orderDelete",
        "orderCustomerSet",
        "orderCustomerRemove",
        "orderEditBegin",
        "orderEditCommit",
        "refundCreate",
        "fulfillmentCreate",
        "fulfillmentCreateV2",
        "fulfillmentCancel",
        "fulfillmentTrackingInfoUpdate",
        "fulfillmentTrackingInfoUpdateV2",
        "fulfillmentEventCreate",
        "returnCreate",
        "returnRequest",
        "returnApproveRequest",
        "returnDeclineRequest",
        "returnCancel",
        "returnClose",
        "returnReopen",
        "returnProcess",
        "reverseFulfillmentOrderDispose",
        "reverseDeliveryCreateWithShipping",
        "reverseDeliveryShippingUpdate",
        "customerCreate",
        "customerUpdate",
        "customerDelete",
        "tagsAdd",
        "tagsRemove",
        "webhookSubscriptionCreate",
        "webhookSubscriptionUpdate",
        "webhookSubscriptionDelete",
        "pubSubWebhookSubscriptionCreate",
        "productCreate",
        "bulkOperationRunQuery",
        "bulkOperationCancel",
    ]
)
# Include an interface's implementations, unless they are half the API (Node, HasEvents …).
MOST_IMPLEMENTATIONS: Final = 4
# Types that only node(id:) or an interface with many implementations leads to.
NODES: Final = frozenset({"OrderCancelJobResult", "ProductSale"})


def load_full() -> GraphQLSchema:
    """Parse the full pre-release schema: about five seconds.

    Not validated, because it has six known inconsistencies of Shopify's.
    """
    return build_schema(gzip.decompress(FULL.read_bytes()).decode(), assume_valid=True)


def cut(full: GraphQLSchema) -> str:
    """Return the part reachable from the root fields above, as SDL. Removes the others from `full`."""
    for root, wanted in ((full.query_type, QUERIES), (full.mutation_type, MUTATIONS)):
        if root is None:
            raise ValueError("the schema has no root type")
        for name in [name for name in root.fields if name not in wanted]:
            del root.fields[name]
    seen: dict[str, GraphQLNamedType] = {}
    todo: list[GraphQLNamedType] = [full.type_map[name] for name in sorted(NODES)]
    todo += [root for root in (full.query_type, full.mutation_type) if root]
    while todo:
        found = todo.pop()
        if found.name not in seen:
            seen[found.name] = found
            todo += _neighbors(found)
            if isinstance(found, GraphQLInterfaceType):
                ways = full.get_implementations(found).objects
                todo += ways if len(ways) <= MOST_IMPLEMENTATIONS else []
    types = [seen[name] for name in sorted(seen)]
    schema = GraphQLSchema(
        query=full.query_type,
        mutation=full.mutation_type,
        types=types,
        directives=full.directives,
        assume_valid=True,
    )
    return print_schema(schema)


def _neighbors(named: GraphQLNamedType) -> list[GraphQLNamedType]:
    """Return the types that a type refers to."""
    if isinstance(named, GraphQLUnionType):
        return list(named.types)
    found: list[GraphQLNamedType] = []
    if isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
        found += named.interfaces
        for field in named.fields.values():
            found.append(get_named_type(field.type))
            found += [get_named_type(argument.type) for argument in field.args.values()]
    if isinstance(named, GraphQLInputObjectType):
        found += [get_named_type(field.type) for field in named.fields.values()]
    return found


def main() -> None:
    """Write the cut schema; the same input gives the same bytes."""
    CUT.write_bytes(gzip.compress(cut(load_full()).encode(), mtime=0))


if __name__ == "__main__":
    main()
