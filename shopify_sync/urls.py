from django.urls import path

from shopify_sync import install, views

urlpatterns = [
    path("webhooks/shopify/", views.receive_webhook, name="shopify-webhook"),
    path("shopify/install/", install.install, name="shopify-install"),
    path("shopify/callback/", install.callback, name="shopify-callback"),
]
