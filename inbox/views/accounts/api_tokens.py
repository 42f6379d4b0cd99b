"""The page on which people make and revoke their own API tokens."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from inbox import access, api_tokens
from inbox.accounts.login import reauthentication
from inbox.accounts.roles import Agent
from inbox.models import ApiToken, TokenScope
from inbox.visibility import scope_of
from orders.models import Store

_DAYS: Final = (30, api_tokens.DEFAULT_DAYS, 180, api_tokens.LONGEST_DAYS)


class TokenForm(forms.Form):
    name = forms.CharField(max_length=100)
    scope = forms.ChoiceField(choices=TokenScope.choices, initial=TokenScope.READ)
    days = forms.TypedChoiceField(coerce=int, initial=api_tokens.DEFAULT_DAYS)
    stores = forms.ModelMultipleChoiceField(Store.objects.none(), required=False)

    def __init__(self, *args: Any, agent: Agent, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        days: Any = self.fields["days"]
        days.choices = [(n, ngettext("%(n)s day", "%(n)s days", n) % {"n": n}) for n in _DAYS]
        stores: Any = self.fields["stores"]
        stores.queryset = scope_of(agent).active_stores()


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """List the agent's own tokens; POST makes one and shows its text, this once."""
    if request.method != "POST":
        return _page(request, TokenForm(agent=request.user))
    if reauthentication.is_due(request):
        return reauthentication.ask(request)
    form = TokenForm(request.POST, agent=request.user)
    if not form.is_valid():
        return _page(request, form, status=422)
    agent = access.agent_of(request)
    try:
        token, text = api_tokens.create(
            owner=agent, by=agent, now=timezone.now(), **form.cleaned_data
        )
    except api_tokens.NameTaken:
        form.add_error("name", _("You already have a token with this name."))
        return _page(request, form, status=422)
    return _page(request, TokenForm(agent=request.user), made=token, text=text)


@require_POST
def revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    """Revoke one of the agent's own tokens."""
    agent = access.agent_of(request)
    token = get_object_or_404(ApiToken, pk=token_id, owner=agent)
    api_tokens.revoke([token], by=agent, now=timezone.now(), why="by its owner")
    return redirect("inbox:tokens")


def _page(request: HttpRequest, form: TokenForm, *, status: int = 200, **more: Any) -> HttpResponse:
    context = {
        "form": form,
        "tokens": _own(request.user),
        "now": timezone.now(),
        "has_stores": scope_of(request.user).active_stores().count() > 1,
        "section": "",
    }
    return render(request, "inbox/tokens.html", context | more, status=status)


def _own(agent: Agent) -> list[ApiToken]:
    mine = ApiToken.objects.filter(owner_id=agent.pk, revoked_at=None)
    return list(mine.prefetch_related("stores"))
