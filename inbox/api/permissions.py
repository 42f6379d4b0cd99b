"""Permissions of the REST API: the same roles as on the pages."""

from __future__ import annotations

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from inbox.accounts import roles


class HasRole(BasePermission):
    """Require a role that opens the inbox. The default of every view."""

    def has_permission(self, request: Request, view: object) -> bool:
        """Ask for such a role of the session's or the token's user."""
        return roles.may_work(request.user)
