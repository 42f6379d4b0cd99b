"""Privacy requests in the admin: a read-only list, and buttons to download, stop or run one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.views.decorators.http import require_POST

from orders import privacy
from orders.admin.base import ReadOnlyAdmin
from orders.errors import ActionRefused
from orders.models import PrivacyKind, PrivacyRequest, PrivacyState, RedactedIdentity

_STOPPABLE = (PrivacyState.WAITING, PrivacyState.GRACE)
# What happens next, so that admins needn't look it up in the manual.
_WHAT_NEXT = {
    PrivacyState.WAITING: "Starts automatically within a minute.",
    PrivacyState.GRACE: "The app was uninstalled, and Shopify asked us to delete the shop's data. It will be "
    "deleted at the time below. If that's a mistake, stop the deletion.",
    PrivacyState.WORKING: "Deletion is in progress, one batch at a time. It continues after a restart.",
    PrivacyState.READY: "Download the data and give it to the customer before the due date. Every download is "
    "recorded in the audit log.",
    PrivacyState.DONE: "Finished. The evidence contains counts and keyed hashes, but no personal data.",
    PrivacyState.STOPPED: "Someone stopped this, and nothing was deleted. If the shop's data must be deleted "
    "after all, Shopify has to send a new request.",
    PrivacyState.REFUSED: "The request didn't match what Shopify reports, so nothing was deleted.",
    PrivacyState.EXPIRED: "No one downloaded the data in time. Export the customer's data manually.",
}


@admin.register(PrivacyRequest)
class PrivacyRequestAdmin(ReadOnlyAdmin):
    """Requests are created by Shopify's webhooks only; admins can export, stop or run them."""

    change_form_template = "admin/orders/privacyrequest/change_form.html"
    list_title = "Privacy requests"
    list_intro = (
        "Requests from customers and shops, sent by Shopify, for their data or its "
        "deletion. They're handled automatically; open one to download the data, run it "
        "now, or stop it."
    )
    list_empty = "No requests. Shopify sends them through its compliance webhooks."
    help_texts = {
        "kind": "What was requested.",
        "store": "The shop it belongs to.",
        "state": "Current status.",
        "received_at": "When Shopify sent the request.",
        "due_at": "The legal deadline.",
        "grace_until": "Deletion of a whole shop can be stopped until then.",
        "next_attempt_at": "When it continues automatically.",
        "done_at": "When it finished.",
        "note": "What went wrong, or what it's waiting for.",
    }
    list_display = ["kind", "store", "received_at", "due_at", "state"]
    list_filter = ["state", "kind", "store"]
    list_select_related = ["store"]
    date_hierarchy = "received_at"
    fields = (
        "kind",
        "store",
        "state",
        "what_next",
        "received_at",
        "due_at",
        "grace_until",
        "next_attempt_at",
        "done_at",
        "note",
        "rows",
        "identifiers",
    )
    readonly_fields = ("what_next", "rows", "identifiers")

    @admin.display(description="what happens next")
    def what_next(self, request: PrivacyRequest) -> str:
        """What happens automatically, and what someone has to do."""
        return _WHAT_NEXT[PrivacyState(request.state)]

    @admin.display(description="rows found or removed")
    def rows(self, request: PrivacyRequest) -> str:
        """How many rows of each kind of data were found or removed."""
        rows = request.evidence.get("rows", {})
        return format_html_join("\n", "<div>{}: {}</div>", rows.items()) if rows else "None yet"

    @admin.display(description="keyed hashes of the identifiers")
    def identifiers(self, request: PrivacyRequest) -> str:
        """The keyed hashes, folded away because there may be many."""
        hashes = request.evidence.get("identifiers", [])
        lines = format_html_join("\n", "<div>{}</div>", ([text] for text in hashes))
        return format_html("<details><summary>{}</summary>{}</details>", len(hashes), lines)

    def get_urls(self) -> list[URLPattern]:
        views = {"export": self.export, "stop": self.stop, "run": self.run}
        own = [
            path(
                f"<int:pk>/change/{name}/",
                self.admin_site.admin_view(require_POST(self._about_a_request(view))),
                name=f"orders_privacyrequest_{name}",
            )
            for name, view in views.items()
        ]
        return own + super().get_urls()

    def _about_a_request(self, view: Callable[..., HttpResponseBase]) -> Callable[..., Any]:
        """Let only those who may work on requests call the view, with the ID of one they see."""

        def wrapped(request: HttpRequest, pk: int) -> HttpResponseBase:
            _authorized_user(request)
            get_object_or_404(self.get_queryset(request), pk=pk)
            return view(request, pk)

        return wrapped

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        found = PrivacyRequest.objects.filter(pk=object_id).first() if object_id.isdigit() else None
        buttons = _buttons(request, found) if found else {}
        return super().change_view(request, object_id, form_url, (extra_context or {}) | buttons)

    def export(self, request: HttpRequest, pk: int) -> HttpResponse | StreamingHttpResponse:
        """Download the customer's data; each download is audited."""
        try:
            pieces = privacy.export(request_id=pk, by=_authorized_user(request), now=timezone.now())
        except ActionRefused as refused:
            return self._back(request, pk, refused.refusal.reason, messages.ERROR)
        return StreamingHttpResponse(
            pieces,
            content_type="application/json",
            headers={
                "Content-Disposition": f'attachment; filename="customer-data-{pk}.json"',
                "Cache-Control": "no-store",
            },
        )

    def stop(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Stop the deletion of a shop's data during its grace period."""
        try:
            privacy.stop(request_id=pk, by=_authorized_user(request), now=timezone.now())
        except ActionRefused as refused:
            return self._back(request, pk, refused.refusal.reason, messages.ERROR)
        return self._back(request, pk, "Stopped. Nothing was deleted.", messages.SUCCESS)

    def run(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Work on a request now instead of at its next attempt."""
        privacy.work_soon(request_id=pk, now=timezone.now())
        found = PrivacyRequest.objects.get(pk=pk)
        text = found.note or f"Now: {found.get_state_display()}."
        return self._back(request, pk, text, messages.INFO)

    def _back(self, request: HttpRequest, pk: int, text: str, level: int) -> HttpResponse:
        self.message_user(request, text, level)
        return HttpResponseRedirect(reverse("admin:orders_privacyrequest_change", args=[pk]))


def _buttons(request: HttpRequest, found: PrivacyRequest) -> dict[str, bool]:
    if not request.user.has_perm("orders.work_on_privacyrequest"):
        return {}
    is_export = found.kind == PrivacyKind.DATA_REQUEST
    is_shop = found.kind == PrivacyKind.SHOP_REDACT
    return {
        "can_export": is_export and found.state == PrivacyState.READY,
        "can_stop": is_shop and found.state in _STOPPABLE,
        "can_run": found.state in {PrivacyState.WAITING, PrivacyState.WORKING},
    }


def _authorized_user(request: HttpRequest) -> User:
    user = request.user
    if not isinstance(user, User) or not user.has_perm("orders.work_on_privacyrequest"):
        raise PermissionDenied
    return user


@admin.register(RedactedIdentity)
class RedactedIdentityAdmin(ReadOnlyAdmin):
    """People whose data must not come back, as keyed hashes that cannot be read back."""

    list_title = "Redacted people"
    list_intro = (
        "People whose data must not be imported again, stored as keyed hashes that don't "
        "reveal who they are."
    )
    list_empty = "No one has been redacted."
    list_display = ["store", "kind", "digest", "redacted_at"]
    help_texts = {
        "store": "The shop it belongs to.",
        "kind": "What the hash was made from.",
        "digest": "A keyed hash.",
        "redacted_at": "Data older than this isn't imported again.",
    }
    list_filter = ["store", "kind"]
    list_select_related = ["store"]
