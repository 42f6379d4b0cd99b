from allauth.account import views as allauth_account
from allauth.mfa.base import views as allauth_mfa
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from allauth.socialaccount import views as social
from django.contrib.auth import views as auth_views
from django.urls import URLPattern, include, path, re_path
from django.views.generic import RedirectView

from inbox.api import channels as channel_api
from inbox.api import endpoint
from inbox.api.orders import actions as action_api
from inbox.api.orders import proposals as order_api
from inbox.api.reading import contacts as contact_api
from inbox.api.reading import decisions as decision_api
from inbox.api.reading import reports as report_api
from inbox.panel import decorators
from inbox.views import (
    contacts,
    conversations,
    decisions,
    drafts,
    failed_messages,
    frames,
    notices,
    unsubscribing,
    writing,
)
from inbox.views.accounts import api_tokens, log_in, single_sign_on
from inbox.views.accounts import signing_in as signing_in_views
from inbox.views.orders import actions, confirming, dialogs, history, panel
from inbox.views.orders import page as order_page


def dialog_pages(order: str, action: str, wrap: decorators.Decorator) -> list[URLPattern]:
    """Return the URLs of what can be done with an order, the same for every place it is shown in.

    `order` and `action` are the routes they begin with; `wrap` turns a view into a view of that
    place (inbox.panel.decorators).
    """
    return [
        path(f"{order}cancel/", wrap(dialogs.cancel), name="order_cancel"),
        path(f"{order}refund/", wrap(dialogs.refund), name="order_refund"),
        path(f"{order}suggestion/", wrap(dialogs.suggestion), name="order_suggestion"),
        path(f"{order}confirm/", wrap(confirming.confirm), name="order_confirm"),
        path(f"{order}history/", wrap(history.order_history), name="order_history"),
        path(action, wrap(actions.action), name="order_action"),
        path(f"{action}replay/", wrap(history.action_replay), name="action_replay"),
        path(f"{action}withdraw/", wrap(actions.withdraw), name="action_withdraw"),
        path(f"{action}again/", wrap(actions.again), name="action_again"),
        path(f"{action}check/", wrap(actions.check), name="action_check"),
    ]


def panel_pages(prefix: str, wrap: decorators.Decorator) -> list[URLPattern]:
    """Return the URLs of the panel with a person's orders, the same for every place it is shown in."""
    order = f"{prefix}orders/<int:order_id>/"
    return [
        path(f"{prefix}orders/", wrap(panel.panel), name="orders"),
        path(f"{prefix}orders/refresh/", wrap(panel.refresh), name="orders_refresh"),
        path(order, wrap(panel.card), name="order_card"),
        *dialog_pages(order, f"{prefix}actions/<int:action_id>/", wrap),
    ]


pages = [
    path("", conversations.list_page, name="list"),
    path("rows/", conversations.list_rows, name="list_rows"),
    path("conversations/<int:pk>/", conversations.conversation, name="conversation"),
    path("conversations/<int:pk>/header/", conversations.header, name="header"),
    path("conversations/<int:pk>/thread/", conversations.thread, name="thread"),
    path("conversations/<int:pk>/read/", conversations.read, name="read"),
    path("conversations/<int:pk>/reply/", writing.reply, name="reply"),
    path("conversations/<int:pk>/note/", writing.note, name="note"),
    path("conversations/<int:pk>/draft/", drafts.save, name="draft"),
    path("conversations/<int:pk>/assign/", writing.assign, name="assign"),
    path("conversations/<int:pk>/move/", writing.move, name="move"),
    path("conversations/<int:pk>/snooze/", writing.snooze, name="snooze"),
    path("conversations/<int:pk>/resolve/", writing.resolve, name="resolve"),
    path("conversations/<int:pk>/reopen/", writing.reopen, name="reopen"),
    path(
        "conversations/<int:pk>/again/<int:message_id>/", failed_messages.again, name="send_again"
    ),
    path(
        "conversations/<int:pk>/dismiss/<int:message_id>/", failed_messages.dismiss, name="dismiss"
    ),
    path("conversations/<int:pk>/contact/", contacts.make_contact, name="make_contact"),
    path(
        "conversations/<int:pk>/messages/<int:message_id>/order/",
        decorators.beside_conversation(history.order_at_message),
        name="order_then",
    ),
    *panel_pages("conversations/<int:pk>/", decorators.beside_conversation),
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
    path("contacts/<int:pk>/customers/", contacts.link_customers, name="customer_link"),
    path(
        "contacts/<int:pk>/suggestions/accept/",
        contacts.accept_suggestion,
        name="suggestion_accept",
    ),
    path(
        "contacts/<int:pk>/suggestions/set-aside/",
        contacts.set_suggestion_aside,
        name="suggestion_set_aside",
    ),
    path("orders/", contacts.search_orders, name="order_search"),
    path("orders/recent/forget/", contacts.forget_search, name="forget_search"),
    path("decisions/", decisions.page, name="decisions"),
    path("decisions/<int:action_id>/approve/", decisions.approve, name="approve"),
    path("decisions/<int:action_id>/signing/", decisions.signing_options, name="signing_options"),
    path("decisions/<int:action_id>/decline/", decisions.decline, name="decline"),
    path("decisions/<int:action_id>/settle/", decisions.settle, name="settle"),
    path("decisions/refunds/", decisions.refunds_due, name="refunds_due"),
    path("decisions/refunds/keep/", decisions.keep_several, name="keep_several"),
    path("decisions/waiting/", notices.waiting, name="waiting"),
    path("notices/", notices.page, name="notices"),
    path("tokens/", api_tokens.page, name="tokens"),
    path("tokens/<int:token_id>/revoke/", api_tokens.revoke, name="token_revoke"),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
]

order = [
    path("<int:order_id>/", decorators.on_order_page(order_page.page), name="page"),
    path("<int:order_id>/refresh/", decorators.on_order_page(order_page.refresh), name="refresh"),
    path("<int:order_id>/start/", decorators.on_order_page(order_page.start), name="start"),
    *dialog_pages("<int:order_id>/", "actions/<int:action_id>/", decorators.on_order_page),
]

frame = [
    path("", frames.page, name="frame"),
    path("swap/", frames.swap, name="swap"),
    path("look/", frames.look, name="look"),
    path("renew/", frames.renew, name="renew"),
    path("resume/", frames.resume, name="resume"),
    path("connect/", frames.connect, name="connect"),
    *panel_pages("", decorators.in_frame),
]

window = [
    path(
        "orders/<int:order_id>/review/",
        decorators.in_window(confirming.review),
        name="order_review",
    ),
    *panel_pages("", decorators.in_window),
]

api = [
    path("channels/<int:channel_id>/messages/", channel_api.ChannelMessages.as_view()),
    path("orders/", order_api.Orders.as_view()),
    path("orders/<int:order_id>/", order_api.OrderDetail.as_view()),
    path("orders/<int:order_id>/previews/", order_api.Previews.as_view()),
    path("orders/<int:order_id>/actions/", action_api.Actions.as_view()),
    path("actions/<int:action_id>/", action_api.ActionDetail.as_view()),
    path("actions/<int:action_id>/approve/", action_api.ActionApprove.as_view()),
    path("actions/<int:action_id>/decline/", action_api.ActionDecline.as_view()),
    path("actions/<int:action_id>/withdraw/", action_api.ActionWithdraw.as_view()),
    path("contacts/", contact_api.Contacts.as_view()),
    path("contacts/<int:contact_id>/", contact_api.ContactDetail.as_view()),
    path("contacts/<int:contact_id>/timeline/", contact_api.Timeline.as_view()),
    path("decisions/", decision_api.Decisions.as_view()),
    path("policies/", report_api.Policies.as_view()),
    path("reports/money/", report_api.MoneyReport.as_view()),
    re_path(r"^.*$", endpoint.Nowhere.as_view()),
]

# Only these of django-allauth's views, under the names it looks them up by: no sign-up, no emails.
signing_in = [
    path("", signing_in_views.SigningIn.as_view(), name="mfa_index"),
    path("step/", signing_in_views.SecondStep.as_view(), name="mfa_authenticate"),
    path("confirm/", allauth_account.reauthenticate, name="account_reauthenticate"),
    path("confirm/code/", allauth_mfa.reauthenticate, name="mfa_reauthenticate"),
    path("confirm/passkey/", webauthn.reauthenticate_webauthn, name="mfa_reauthenticate_webauthn"),
    path("app/", totp.activate_totp, name="mfa_activate_totp"),
    path("app/remove/", totp.deactivate_totp, name="mfa_deactivate_totp"),
    path("codes/", recovery_codes.view_recovery_codes, name="mfa_view_recovery_codes"),
    path("codes/new/", recovery_codes.generate_recovery_codes, name="mfa_generate_recovery_codes"),
    path("passkeys/", webauthn.list_webauthn, name="mfa_list_webauthn"),
    path("passkeys/add/", webauthn.add_webauthn, name="mfa_add_webauthn"),
    path("passkeys/<int:pk>/edit/", webauthn.edit_webauthn, name="mfa_edit_webauthn"),
    path("passkeys/<int:pk>/remove/", webauthn.remove_webauthn, name="mfa_remove_webauthn"),
    path("password/", allauth_account.password_change, name="account_change_password"),
    path("reset/", allauth_account.password_reset, name="account_reset_password"),
    path("reset/sent/", allauth_account.password_reset_done, name="account_reset_password_done"),
    path(
        "reset/done/",
        allauth_account.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    re_path(
        r"^reset/(?P<uidb36>[0-9A-Za-z]{1,13})-(?P<key>[0-9A-Za-z-]{1,80})/$",
        signing_in_views.SetPassword.as_view(),
        name="account_reset_password_from_key",
    ),
    path("sessions/", signing_in_views.Sessions.as_view(), name="usersessions_list"),
]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="inbox:list"), name="home"),
    # Named without a namespace for settings.LOGIN_URL.
    path("login/", log_in.LogIn.as_view(), name="login"),
    path("login/", log_in.LogIn.as_view(), name="account_login"),
    path("login/sso/", single_sign_on.there, {"provider_id": "sso"}, name="openid_connect_login"),
    path(
        "login/sso/back/",
        single_sign_on.back,
        {"provider_id": "sso"},
        name="openid_connect_callback",
    ),
    path("login/sso/failed/", social.login_error, name="socialaccount_login_error"),
    path("login/sso/canceled/", social.login_cancelled, name="socialaccount_login_cancelled"),
    path("login/passkey/", signing_in_views.PasskeyLogIn.as_view(), name="mfa_login_webauthn"),
    path("account/", include(signing_in)),
    path("unsubscribe/<str:token>/", unsubscribing.unsubscribe, name="unsubscribe"),
    path("inbox/", include((pages, "inbox"))),
    path("inbox/orders/", include((order, "order"))),
    path("sidebar/", include((frame, "sidebar"))),
    path("sidebar/window/<str:window>/", include((window, "sidebar_window"))),
    path("api/v1/", include((api, "api"))),
]
