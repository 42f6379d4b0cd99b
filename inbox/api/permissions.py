"""Permissions of the REST API: the same roles as on the pages."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from inbox import access


class HasRole(BasePermission):
    """Require a role that may read or, for unsafe methods, work. The default of every view."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Safe methods need a role that may read; the others, one that may work."""
        return not access.is_access_refused(
            request.user, changes=request.method not in SAFE_METHODS
        )
