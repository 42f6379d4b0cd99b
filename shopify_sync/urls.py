from django.urls import path

from shopify_sync import views

urlpatterns = [path("webhooks/shopify/", views.receive_webhook, name="shopify-webhook")]
