"""Root URLconf."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.urls import include, path
from django.views.i18n import set_language
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from inbox.design import (
    states,
    views,
)

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path(
        "api/docs/",
        # A page for people, so that they land on the login; the REST framework would answer 401.
        login_required(
            SpectacularSwaggerSplitView.as_view(
                url_name="api-schema", template_name="inbox/api_docs.html"
            )
        ),
        name="api-docs",
    ),
    path("language/", set_language, name="set_language"),
    path("", include("shopify_sync.urls")),
    path("", include("inbox.urls")),
]
if settings.DEBUG:
    urlpatterns += [
        path("design/", views.page, name="design"),
        path("design/errors/<int:code>/", states.error, name="design-error"),
        path("design/<slug:name>/", states.state, name="design-state"),
    ]
