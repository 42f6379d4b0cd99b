"""The addresses of the place a panel stands in."""

from __future__ import annotations

from typing import Any

from django import template

from inbox.panel.contexts import Place

register = template.Library()


@register.simple_tag
def place_url(place: Place, name: str, *args: Any) -> str:
    """As {% url %}, for the panel's doors: {% place_url place 'order_cancel' card.id as here %}."""
    return place.url(name, *args)
