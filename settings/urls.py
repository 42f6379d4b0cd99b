"""Addresses (README: where things live)."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from settings import probes

urlpatterns = [
    path("livez", probes.livez),
    path("readyz", probes.readyz),
    path("admin/", admin.site.urls),
    path("api/schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="api-schema"), name="api-docs"),
    path("", include("shopify_sync.urls")),
    path("", include("inbox.urls")),
]
