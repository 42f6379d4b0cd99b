"""What every endpoint of the REST API checks before its own work."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

from inbox.models import TokenScope


class Endpoint(APIView):
    """Refuses query parameters it does not know, as they would be ignored."""

    # The parameters that the URL may have.
    parameters: ClassVar[frozenset[str]] = frozenset()
    # What a token needs to send anything but GET (inbox.api.authentication).
    scope: ClassVar[TokenScope] = TokenScope.ACT

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        super().initial(request, *args, **kwargs)
        errors = {}
        for name, values in request.query_params.lists():
            if name not in self.parameters:
                errors[name] = ["Unknown parameter."]
            elif len(values) > 1:
                errors[name] = ["Listed twice."]
        if errors:
            raise ValidationError(errors)


@extend_schema(exclude=True)
class Nowhere(Endpoint):
    """Every other address below /api/v1/, so that programs get a problem and not a page."""

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        super().initial(request, *args, **kwargs)
        raise NotFound
