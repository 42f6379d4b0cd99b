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

from inbox.accounts.login.single_sign_on import ProviderAdapter


@login_not_required
def there(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Send the browser to the provider. 404 if none is configured."""
    return _run(OAuth2LoginView, request, provider_id)


@login_not_required
def back(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Log in the person whom the provider sent back. 404 if none is configured."""
    return _run(OAuth2CallbackView, request, provider_id)


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
