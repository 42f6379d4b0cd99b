"""The way to the company's identity provider and back; the flow is django-allauth's."""

from __future__ import annotations

from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import (
    OAuth2CallbackView,
    OAuth2LoginView,
    OAuth2View,
)
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from inbox.accounts.login import single_sign_on
from inbox.accounts.login.single_sign_on import ProviderAdapter


@login_not_required
def there(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Send the browser to the provider. 404 if none is configured.

    Only a form begins a login, or any link would log in someone who is logged in there. The answer
    is a page that leads on by itself: the CSP lets no form end at another host, not even by a
    redirect.
    """
    if request.method == "POST":
        answer = _run(OAuth2LoginView, request, provider_id)
        return _lead_on(request, answer["Location"]) if answer.status_code == 302 else answer
    if not single_sign_on.providers():
        raise Http404
    return _page(request, next=request.GET.get("next", ""))


@login_not_required
def back(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Log in the person whom the provider sent back. 404 if none is configured."""
    return _run(OAuth2CallbackView, request, provider_id)


def _lead_on(request: HttpRequest, address: str) -> HttpResponse:
    answer = _page(request, address=address)
    answer["Refresh"] = f"0; url={address}"
    return answer


def _page(request: HttpRequest, **context: str) -> HttpResponse:
    [(name, _address)] = single_sign_on.providers()
    return render(request, "socialaccount/there.html", {"name": name, **context})


def _run(view: type[OAuth2View], request: HttpRequest, provider_id: str) -> HttpResponse:
    adapter = ProviderAdapter(request, provider_id)
    try:
        answer: HttpResponse = view.adapter_view(adapter)(request)
    except SocialApp.DoesNotExist as error:
        raise Http404 from error
    except OAuth2Error as error:
        # allauth reads the provider's metadata before it begins to handle errors.
        answer = render_authentication_error(request, adapter.get_provider(), exception=error)
    return answer
