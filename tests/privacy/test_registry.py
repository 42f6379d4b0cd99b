"""Every text column is registered as personal, or declared harmless with a reason."""

from __future__ import annotations

import dataclasses

import pytest
from django.apps import apps
from django.db import models

from orders import snapshot as snapshots
from orders.privacy.masking import masked
from orders.privacy.registry import REGISTRY
from tests.support.orders import snapshots as samples
from tests.support.orders.personal import KEPT, filled


def test_every_text_column_of_every_model_is_registered() -> None:
    assert REGISTRY.unregistered(apps.get_models()) == []


def test_an_unregistered_column_is_found() -> None:
    """Negative control."""

    class Throwaway(models.Model):  # noqa: DJ008
        nickname = models.CharField(max_length=10)
        answers = models.JSONField()
        count = models.IntegerField()

        class Meta:
            app_label = "orders"

    try:
        found = REGISTRY.unregistered(apps.get_models())
        assert found == ["orders.Throwaway.nickname", "orders.Throwaway.answers"]
    finally:
        del apps.all_models["orders"]["throwaway"]
        apps.clear_cache()


def test_what_is_registered_exists() -> None:
    for holding in REGISTRY.holdings:
        for name in holding.fields:
            holding.model._meta.get_field(name)
    for label, name in REGISTRY.harmless:
        apps.get_model(label)._meta.get_field(name)


def test_masking_an_order_keeps_only_fields_known_to_be_impersonal() -> None:
    full = filled(snapshots.OrderSnapshot, lambda name: name)
    text = snapshots.encode(full)
    left = snapshots.encode(masked(full))
    names = {f"{kind}.{name}" for kind, kept in KEPT.items() for name in kept}
    every = {
        f"{kind}.{f.name}"
        for kind in KEPT
        for f in dataclasses.fields(getattr(snapshots, kind))
        if f'"{kind}.{f.name}"' in text
    }
    assert names < every
    assert {name for name in every if f'"{name}"' in left} == names


def test_masking_keeps_sums_and_the_markers_of_our_actions() -> None:
    refund = snapshots.Refund(
        gid="r", created_at=None, note="Mrs Doe was angry [ax:0123456789]", total=samples.bag("5")
    )
    order = samples.order(refunds=(refund,), cancel_staff_note="for Jane [ax:abcdef0123]")
    left = masked(order)
    assert left.money == order.money
    assert left.refunds[0].note == "[ax:0123456789]"
    assert left.cancel_staff_note == "[ax:abcdef0123]"
    assert masked(left) == left


@pytest.mark.django_db
def test_every_customer_holding_accepts_an_empty_scope() -> None:
    from orders.privacy.registry import Scope

    empty = Scope(store_id=0, linked={"inbox.Contact": (0,), "inbox.Contact shared": (0,)})
    for holding in REGISTRY.of_customers():
        for rows in holding.rows(empty):
            assert list(rows) == []
