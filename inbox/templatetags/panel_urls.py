"""URLs of the order panel, relative to the place it is shown in."""

from __future__ import annotations

from django import template

from inbox.panel.contexts import Place

register = template.Library()


@register.simple_tag
def place_url(place: Place, name: str, *args: object) -> str:
    """Reverse a panel URL, as {% url %} does: {% place_url place 'order_card' card.id as url %}."""
    return place.url(name, *args)
