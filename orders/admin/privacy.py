"""Privacy requests in the admin: a read-only list, and buttons to download, stop or run one."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
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
    PrivacyState.WAITING: "It begins by itself within a minute.",
    PrivacyState.GRACE: "The app was uninstalled and Shopify asks for the shop's data to be "
    "deleted. It is deleted when the time below has come. If that is a mistake, stop it.",
    PrivacyState.WORKING: "Deletion is under way, a batch at a time. It goes on after a restart.",
    PrivacyState.READY: "Download the data and hand it to the customer before the due date. Every "
    "download is written into the audit log.",
    PrivacyState.DONE: "Finished. The evidence holds counts and keyed hashes, no personal data.",
    PrivacyState.STOPPED: "Somebody stopped it; nothing was deleted. If the shop's data has to go "
    "after all, Shopify must ask again.",
    PrivacyState.REFUSED: "Shopify itself contradicted the request; nothing was deleted.",
    PrivacyState.EXPIRED: "Nobody downloaded the data in time. Export the customer's data by hand.",
}


@admin.register(PrivacyRequest)
class PrivacyRequestAdmin(ReadOnlyAdmin):
    """Requests are created by Shopify's webhooks only; admins can export, stop or run them."""

    change_form_template = "admin/orders/privacyrequest/change_form.html"
    list_title = "Privacy requests"
    list_intro = (
        "What customers and shops asked for by Shopify: their data, or its deletion. All of it "
        "happens by itself; open a request to download, hurry or stop it."
    )
    list_empty = "Nobody has asked. Shopify sends requests by its compliance webhooks."
    help_texts = {
        "kind": "What is asked for.",
        "store": "Of which shop.",
        "state": "How far it is.",
        "received_at": "When Shopify asked.",
        "due_at": "The law's limit.",
        "grace_until": "Until then a deletion of a whole shop can be stopped.",
        "next_attempt_at": "When it goes on by itself.",
        "done_at": "When it ended.",
        "note": "What went wrong, or why it waits.",
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
        return _WHAT_NEXT[PrivacyState(request.state)]

    @admin.display(description="rows found or removed")
    def rows(self, request: PrivacyRequest) -> str:
        rows = request.evidence.get("rows", {})
        return format_html_join("\n", "<div>{}: {}</div>", rows.items()) if rows else "None yet"

    @admin.display(description="keyed hashes of the identifiers")
    def identifiers(self, request: PrivacyRequest) -> str:
        hashes = request.evidence.get("identifiers", [])
        lines = format_html_join("\n", "<div>{}</div>", ([text] for text in hashes))
        return format_html("<details><summary>{}</summary>{}</details>", len(hashes), lines)

    def get_urls(self) -> list[URLPattern]:
        views = {"export": self.export, "stop": self.stop, "run": self.run}
        own = [
            path(
                f"<int:pk>/change/{name}/",
                self.admin_site.admin_view(require_POST(view)),
                name=f"orders_privacyrequest_{name}",
            )
            for name, view in views.items()
        ]
        return own + super().get_urls()

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
        _authorized_user(request)
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
    list_intro = "Whose data must not come back, as keyed hashes: nobody can be read from them."
    list_empty = "Nobody was redacted."
    list_display = ["store", "kind", "digest", "redacted_at"]
    help_texts = {
        "store": "Of which shop.",
        "kind": "What the hash was made of.",
        "digest": "A keyed hash.",
        "redacted_at": "Data older than this is not taken in again.",
    }
    list_filter = ["store", "kind"]
    list_select_related = ["store"]
