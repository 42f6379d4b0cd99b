"""Every document we send is valid against Shopify's schema: all of a pre-release of the pinned version."""

from __future__ import annotations

import pytest
from graphql import GraphQLSchema, OperationDefinitionNode, parse, validate

from practice_store.graphql.schema import cut
from shopify_sync.api import documents


@pytest.fixture(scope="module")
def full() -> GraphQLSchema:
    return cut.load_full()


@pytest.mark.parametrize("name", documents.names())
def test_a_document_is_valid(full: GraphQLSchema, name: str) -> None:
    document = parse(documents.load(name))
    assert validate(full, document) == []
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    assert name in {each.name.value for each in operations if each.name}


@pytest.mark.parametrize(
    "text",
    [
        "{ order(id: 1) { nope } }",
        "mutation { refundCreate(input: {}) { userErrors { code } } }",
        "mutation { orderCancel(orderId: 1) { job { id } } }",
    ],
)
def test_a_wrong_document_is_refused(full: GraphQLSchema, text: str) -> None:
    assert validate(full, parse(text))


def test_the_cut_schema_is_the_full_ones_own(full: GraphQLSchema) -> None:
    import gzip

    shipped = gzip.decompress(cut.CUT.read_bytes()).decode()
    assert shipped == cut.cut(cut.load_full()), "run python -m practice_store.graphql.schema.cut"
