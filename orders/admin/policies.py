"""Policies in the admin: the limits, a table of who may do what, and a form to try them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from core.dashboard import DESK
from orders import (
    audit,
    policies,
)
from orders.admin import policy_tryout
from orders.admin.base import (
    DeskAdmin,
    note_change,
)
from orders.admin.policy_fields import FIELDS
from orders.models import AuditKind, Policy, Store
from orders.models.policies import CONDITIONS
from orders.reports import policy_backtest

if TYPE_CHECKING:
    from django import forms

    PolicyForm = forms.ModelForm[Policy]

# The buttons that save nothing.
_TRIES = frozenset({"_try", "_backtest"})
# A longer table would no longer be a summary.
_STORES_SHOWN = 20


@admin.register(Policy)
class PolicyAdmin(DeskAdmin):
    """Edit policies. The form can also be tried out, which validates it but saves nothing."""

    change_form_template = "admin/orders/policy/change_form.html"
    change_list_template = "admin/orders/policy/change_list.html"
    list_title = "Policies"
    list_intro = (
        "What each role can refund and cancel. A store's own policy overrides the role's "
        "general policy. If a person has several roles, the most generous one applies."
    )
    list_display = ["role", "at", "alone", "a_day", "asks", "cancel", "approves"]
    list_display_links = ["role", "at"]
    list_filter = ["role", "store"]
    list_select_related = ["role", "store"]
    help_texts = {
        "store": "Leave empty for every store that has no policy of its own for this role.",
        "refund_up_to": (
            "The largest refund without approval. 0: every refund needs approval. Empty: no limit."
        ),
        "refund_per_day": (
            "How much a person can refund in any 24 hours without approval. Empty: no limit."
        ),
        "note_above": "Larger refunds require a staff note. Empty: never required.",
        "approval_up_to": (
            "The largest refund that can be requested at all. Empty: any amount, with approval."
        ),
        "two_approvers_above": "Larger refunds need approval from two people. Empty: one is enough.",
        "may_approve_up_to": (
            "The largest refund by someone else that this role can approve. 0: none. Empty: any."
        ),
        "sign_above": (
            "Approving a larger refund requires the approver's passkey, whose signature is kept in "
            "the audit log. Empty: never."
        ),
        "cancel": "The limits above also apply to a cancellation with a refund.",
    }
    fieldsets = [
        (
            "Applies to",
            {"fields": ["role", "store"]},
        ),
        (
            "Without approval",
            {
                "fields": ["refund_up_to", "refund_per_day", "note_above", "cancel"],
                "description": "Amounts are in the shop's currency. They're checked when an agent "
                "confirms, along with everything still in progress.",
            },
        ),
        ("With approval", {"fields": ["approval_up_to", "two_approvers_above"]}),
        (
            "Needs approval whatever the amount",
            {
                "fields": list(CONDITIONS),
                "description": "Checked when an agent confirms, and again before anything is sent. "
                "If something that a policy asks about isn't known, approval is needed.",
            },
        ),
        ("Approving others", {"fields": ["may_approve_up_to", "sign_above"]}),
    ]

    class Media:
        js = ["orders/policy.js"]

    @admin.display(description="Store", ordering="store")
    def at(self, policy: Policy) -> str:
        """The store it applies to; without one, every store."""
        return str(policy.store or "Every store")

    @admin.display(description="Refunds without approval", ordering="refund_up_to")
    def alone(self, policy: Policy) -> str:
        """The largest refund without approval."""
        return self._cells(policy)[0]

    @admin.display(description="In 24 hours", ordering="refund_per_day")
    def a_day(self, policy: Policy) -> str:
        """How much may be refunded in 24 hours without approval."""
        return self._cells(policy)[1]

    @admin.display(description="Can request", ordering="approval_up_to")
    def asks(self, policy: Policy) -> str:
        """The largest refund that may be requested at all."""
        return self._cells(policy)[3]

    @admin.display(description="Can approve", ordering="may_approve_up_to")
    def approves(self, policy: Policy) -> str:
        """The largest refund by someone else that the role may approve."""
        return self._cells(policy)[6]

    def _cells(self, policy: Policy) -> tuple[str, ...]:
        return policy_tryout.policy_cells(policy, policy.store.currency if policy.store else "")

    def get_form(
        self,
        request: HttpRequest,
        obj: models.Model | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> Any:
        """For a try, return a form that validates what was entered and is never saved."""
        form = super().get_form(request, obj, change=change, **kwargs)
        if request.method != "POST" or _TRIES.isdisjoint(request.POST):
            return form

        class TryoutForm(form):  # type: ignore[misc, valid-type]
            """Validates but is never saved: the page comes back as it was filled in."""

            def is_valid(self) -> bool:
                request.tried_policy = None if self.errors else self.instance  # type: ignore[attr-defined]
                return False

        return TryoutForm

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Add the tryouts: of one case, and on history; with their results if one was asked for."""
        typed: Policy | None = getattr(request, "tried_policy", None)
        if "_backtest" in request.POST:
            trial = policy_tryout.TrialForm(request.POST, user=request.user)
            context["backtest_days"] = policy_backtest.DAYS
            context["backtest_at_most"] = policy_backtest.ACTIONS_AT_MOST
            if typed is not None:
                context["backtest"] = policy_backtest.backtest(
                    typed,
                    stores=DESK.limited(request.user, Store.objects.all()),
                    now=timezone.now(),
                )
            context["title"] = "What would have happened if"
        elif "_try" in request.POST:
            trial = policy_tryout.TrialForm(request.POST, user=request.user)
            if typed is None:
                context["verdict"] = policy_tryout.Verdict(
                    tone="critical",
                    title="Nothing to test yet",
                    text="Correct the highlighted fields above first.",
                )
            elif trial.is_valid():
                context["verdict"] = policy_tryout.verdict(trial, typed)
            # Nothing was saved, so Django's "Change policy" would mislead.
            context["title"] = "What would happen if"
        else:
            policy: Policy | None = context.get("original")
            role = {"who": f"role:{policy.role_id}", "store": policy.store_id} if policy else {}
            trial = policy_tryout.TrialForm(initial=role, user=request.user)
        context["trial"] = trial
        return super().render_change_form(request, context, *args, **kwargs)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Add the table of what each role may do in each store."""
        roles = Group.objects.filter(
            models.Q(pk__in=Policy.objects.values("role"))
            | models.Q(name__in=policies.ACTING_ROLES)
        )
        stores = list(DESK.limited(request.user, Store.objects.active())[:_STORES_SHOWN])
        context = {
            "allowance_heads": policy_tryout.ALLOWANCE_HEADS,
            "allowances": policy_tryout.allowances(
                list(Policy.objects.all()), roles.order_by("name"), stores
            ),
        }
        return super().changelist_view(request, context | (extra_context or {}))

    def formfield_for_dbfield(
        self, db_field: models.Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        """Let lists be typed one per line, and reasons be chosen."""
        if field := FIELDS.get(str(db_field.name)):
            return field(
                label=str(db_field.verbose_name).capitalize(),
                help_text=str(db_field.help_text),
                required=False,
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def formfield_for_foreignkey(
        self, db_field: models.ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        """Require a store of those who see only some: a policy without one applies to all."""
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if field is not None and db_field.name == "store" and DESK.is_limited(request.user):
            field.required = True
        return field

    def has_change_permission(self, request: HttpRequest, obj: Policy | None = None) -> bool:
        """Refuse for a general policy if the person sees only some of the stores."""
        return self._is_theirs(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Policy | None = None) -> bool:
        """Refuse for a general policy if the person sees only some of the stores."""
        return self._is_theirs(request, obj) and super().has_delete_permission(request, obj)

    def _is_theirs(self, request: HttpRequest, obj: Policy | None) -> bool:
        is_general = obj is not None and obj.store_id is None
        return not (is_general and DESK.is_limited(request.user))

    def save_model(self, request: HttpRequest, obj: Policy, form: PolicyForm, change: bool) -> None:
        """Save, and audit each changed limit with its old and new value."""
        super().save_model(request, obj, form, change)
        note_change(AuditKind.POLICY, request, obj.pk, form, change)

    def delete_model(self, request: HttpRequest, obj: Policy) -> None:
        """Delete, and audit it first, while the row still has its ID."""
        actor = request.user if isinstance(request.user, User) else None
        audit.record(AuditKind.POLICY, actor=actor, after="deleted", row=obj.pk)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Policy]) -> None:
        # One by one, so that each deletion is audited.
        for policy in queryset:
            self.delete_model(request, policy)
