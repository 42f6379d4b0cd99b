from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from django.views.generic import RedirectView

from inbox.api import channels as channel_api
from inbox.api import orders as order_api
from inbox.views import contacts, conversations, decisions, orders

# Named without a namespace for settings.LOGIN_URL, and with it for templates.
log_in = auth_views.LoginView.as_view(
    template_name="inbox/login.html", redirect_authenticated_user=True
)

pages = [
    path("", conversations.list_page, name="list"),
    path("rows/", conversations.list_rows, name="list_rows"),
    path("conversations/<int:pk>/", conversations.conversation, name="conversation"),
    path("conversations/<int:pk>/header/", conversations.header, name="header"),
    path("conversations/<int:pk>/thread/", conversations.thread, name="thread"),
    path("conversations/<int:pk>/reply/", conversations.reply, name="reply"),
    path("conversations/<int:pk>/note/", conversations.note, name="note"),
    path("conversations/<int:pk>/assign/", conversations.assign, name="assign"),
    path("conversations/<int:pk>/snooze/", conversations.snooze, name="snooze"),
    path("conversations/<int:pk>/resolve/", conversations.resolve, name="resolve"),
    path("conversations/<int:pk>/reopen/", conversations.reopen, name="reopen"),
    path("conversations/<int:pk>/orders/", orders.panel, name="orders"),
    path("conversations/<int:pk>/orders/refresh/", orders.refresh, name="orders_refresh"),
    path(
        "conversations/<int:pk>/orders/<int:order_id>/cancel/", orders.cancel, name="order_cancel"
    ),
    path(
        "conversations/<int:pk>/orders/<int:order_id>/refund/", orders.refund, name="order_refund"
    ),
    path(
        "conversations/<int:pk>/orders/<int:order_id>/suggestion/",
        orders.suggestion,
        name="order_suggestion",
    ),
    path(
        "conversations/<int:pk>/orders/<int:order_id>/confirm/",
        orders.confirm,
        name="order_confirm",
    ),
    path("conversations/<int:pk>/actions/<int:action_id>/", orders.action, name="order_action"),
    path(
        "conversations/<int:pk>/actions/<int:action_id>/withdraw/",
        orders.withdraw,
        name="action_withdraw",
    ),
    path("contacts/<int:pk>/", conversations.contact, name="contact"),
    path("contacts/<int:pk>/activity/", conversations.contact_activity, name="contact_activity"),
    path("contacts/<int:pk>/identities/", contacts.add_identity, name="identity_add"),
    path(
        "contacts/<int:pk>/identities/<int:identity_id>/remove/",
        contacts.remove_identity,
        name="identity_remove",
    ),
    path(
        "contacts/<int:pk>/identities/<int:identity_id>/restore/",
        contacts.restore_identity,
        name="identity_restore",
    ),
    path("orders/", contacts.search_orders, name="order_search"),
    path("decisions/", decisions.page, name="decisions"),
    path("decisions/<int:action_id>/approve/", decisions.approve, name="approve"),
    path("decisions/<int:action_id>/decline/", decisions.decline, name="decline"),
    path("decisions/<int:action_id>/settle/", decisions.settle, name="settle"),
    path("decisions/orders/<int:order_id>/keep/", decisions.keep, name="keep"),
    path(
        "conversations/<int:pk>/actions/<int:action_id>/check/", orders.check, name="action_check"
    ),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
]

api = [
    path("channels/<int:channel_id>/messages/", channel_api.ChannelMessages.as_view()),
    path("orders/", order_api.Orders.as_view()),
    path("orders/<int:order_id>/", order_api.OrderDetail.as_view()),
    path("orders/<int:order_id>/previews/", order_api.Previews.as_view()),
    path("orders/<int:order_id>/actions/", order_api.Actions.as_view()),
    path("actions/<int:action_id>/", order_api.ActionDetail.as_view()),
    path("actions/<int:action_id>/approve/", order_api.ActionApprove.as_view()),
    path("actions/<int:action_id>/decline/", order_api.ActionDecline.as_view()),
    path("actions/<int:action_id>/withdraw/", order_api.ActionWithdraw.as_view()),
]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="inbox:list"), name="home"),
    path("login/", login_not_required(log_in), name="login"),
    path("inbox/", include((pages, "inbox"))),
    path("api/v1/", include((api, "api"))),
]
