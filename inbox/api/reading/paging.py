"""Pages that continue after the last row shown, so that the last costs as much as the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from orders.panels.filters import moment, number

PAGE: Final = 50
AFTER: Final = OpenApiParameter(
    "after", OpenApiTypes.STR, description="`next` of the page before. Omitted: the first page."
)
Row = TypeVar("Row")


def place(request: Request) -> tuple[datetime, int] | None:
    """Return the time and ID of the last row of the page before; None for the first page.

    Raises ValidationError.
    """
    text = request.query_params.get("after")
    if text is None:
        return None
    at, _sep, pk = text.partition("~")
    found, last = moment(at), number(pk)
    if found is None or last is None:
        raise ValidationError({"after": ["Pass `next` of the page before."]})
    return found, last


def page(
    rows: Sequence[Row], *, at: Callable[[Row], tuple[datetime, int]], shown: list[Any]
) -> dict[str, Any]:
    """Return the response with these rows, and where the next page begins.

    `rows` are those of the page and one more, if there is one; `shown` are those of the page as
    JSON.
    """
    following = None
    if len(rows) > PAGE:
        when, pk = at(rows[PAGE - 1])
        following = f"{when.isoformat()}~{pk}"
    return {"results": shown, "next": following}
