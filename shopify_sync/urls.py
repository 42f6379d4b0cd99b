from django.urls import path

from shopify_sync.setup import oauth
from shopify_sync.webhooks import view

urlpatterns = [
    path("webhooks/shopify/", view.receive_webhook, name="shopify-webhook"),
    path("shopify/install/", oauth.install, name="shopify-install"),
    path("shopify/callback/", oauth.callback, name="shopify-callback"),
]
