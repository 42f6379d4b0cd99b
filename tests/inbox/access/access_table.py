"""Who gets which answer at every address: one row for each URL of the product.

A row has a letter for each identity, first for GET, then for POST:

    +  the door is open: the view answered, if only with an error about the form
    L  log in first (a redirect, or 401)
    R  refused (403)
    0  doesn't exist for them (404)
    M  the method isn't allowed there (405)

The IDs in the URL are those of the first team, which the agent and the supervisor are in. With IDs of the
other team, or with one inside an own one, every + has to become a 0 (tests/inbox/access/test_access_matrix.py).
"""

from __future__ import annotations

from typing import Final

IDENTITIES: Final = (
    "anonymous",
    "no role",
    "agent",
    "other team",
    "supervisor",
    "administrator",
    "auditor",
    "channel key",
    "frame",
)

# fmt: off
ROWS: Final[dict[str, tuple[str, str]]] = {
    # For everyone
    "set_language":                                 ("L++++++LL", "L++++++LL"),
    "home":                                         ("L++++++LL", "L++++++LL"),
    "unsubscribe":                                  ("000000000", "000000000"),
    # Logging in
    "login":                                        ("+++++++++", "+++++++++"),
    "openid_connect_callback":                      ("000000000", "000000000"),
    "openid_connect_login":                         ("000000000", "000000000"),
    "socialaccount_login_cancelled":                ("+++++++++", "MMMMMMMMM"),
    "socialaccount_login_error":                    ("LLLLLLLLL", "LMMMMMMLL"),
    # One's own account
    "account_login":                                ("+++++++++", "+++++++++"),
    "account_reset_password":                       ("+++++++++", "+++++++++"),
    "account_reset_password_done":                  ("+++++++++", "MMMMMMMMM"),
    "account_reset_password_from_key":              ("+++++++++", "+++++++++"),
    "account_reset_password_from_key_done":         ("+++++++++", "MMMMMMMMM"),
    "mfa_authenticate":                             ("+++++++++", "+++++++++"),
    "mfa_login_webauthn":                           ("+++++++++", "+++++++++"),
    "account_change_password":                      ("L++++++LL", "L++++++LL"),
    "account_reauthenticate":                       ("L++++++LL", "L++++++LL"),
    "mfa_activate_totp":                            ("L++++++LL", "L++++++LL"),
    "mfa_add_webauthn":                             ("L++++++LL", "L++++++LL"),
    "mfa_deactivate_totp":                          ("L000000LL", "L000000LL"),
    "mfa_edit_webauthn":                            ("L000000LL", "L000000LL"),
    "mfa_generate_recovery_codes":                  ("L++++++LL", "L++++++LL"),
    "mfa_index":                                    ("L++++++LL", "LMMMMMMLL"),
    "mfa_list_webauthn":                            ("L++++++LL", "LMMMMMMLL"),
    "mfa_reauthenticate":                           ("L++++++LL", "L++++++LL"),
    "mfa_reauthenticate_webauthn":                  ("L++++++LL", "L++++++LL"),
    "mfa_remove_webauthn":                          ("L000000LL", "L000000LL"),
    "mfa_view_recovery_codes":                      ("L000000LL", "LMMMMMMLL"),
    "usersessions_list":                            ("L++++++LL", "L++++++LL"),
    # Pages and fragments
    "inbox:list":                                   ("LR+++++LL", "LRMMM++LL"),
    "inbox:list_rows":                              ("LR+++RRLL", "LRMMMRRLL"),
    "inbox:conversation":                           ("LR+0+RRLL", "LRMMMRRLL"),
    "inbox:header":                                 ("LR+0+RRLL", "LRMMMRRLL"),
    "inbox:thread":                                 ("LR+0+RRLL", "LRMMMRRLL"),
    "inbox:read":                                   ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:reply":                                  ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:note":                                   ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:draft":                                  ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:assign":                                 ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:move":                                   ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:snooze":                                 ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:resolve":                                ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:reopen":                                 ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:send_again":                             ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:dismiss":                                ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:make_contact":                           ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:order_then":                             ("LR+0+RRLL", "LRM0MRRLL"),
    "inbox:orders":                                 ("LR+0+RRLL", "LRM0MRRLL"),
    "inbox:orders_refresh":                         ("LRM0MRRLL", "LR+0+RRLL"),
    "inbox:order_card":                             ("LR+0+RRLL", "LRM0MRRLL"),
    "inbox:order_cancel":                           ("LR+0+RRLL", "LR+0+RRLL"),
    "inbox:order_refund":                           ("LR+0+RRLL", "LR+0+RRLL"),
    "inbox:order_suggestion":                       ("LRM0MRRLL", "LR+0+RRLL"),
    "inbox:order_confirm":                          ("LRM0MRRLL", "LR+0+RRLL"),
    "inbox:order_history":                          ("LR+0+RRLL", "LRM0MRRLL"),
    "inbox:order_action":                           ("LR+0+RRLL", "LRM0MRRLL"),
    "inbox:action_replay":                          ("LR+0+RRLL", "LRM0MRRLL"),
    "inbox:action_withdraw":                        ("LRM0MRRLL", "LR+0+RRLL"),
    "inbox:action_again":                           ("LR+0+RRLL", "LRM0MRRLL"),
    "inbox:action_check":                           ("LRM0MRRLL", "LR+0+RRLL"),
    "inbox:contact":                                ("LR+0+RRLL", "LRMMMRRLL"),
    "inbox:contact_activity":                       ("LR+0+RRLL", "LRMMMRRLL"),
    "inbox:identity_add":                           ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:identity_remove":                        ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:identity_restore":                       ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:customer_link":                          ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:suggestion_accept":                      ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:suggestion_set_aside":                   ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:order_search":                           ("LR+++RRLL", "LRMMMRRLL"),
    "inbox:forget_search":                          ("LRMMMRRLL", "LR+++RRLL"),
    "inbox:decisions":                              ("LR+++RRLL", "LRMMMRRLL"),
    "inbox:approve":                                ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:decline":                                ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:settle":                                 ("LRMMMRRLL", "LR+0+RRLL"),
    "inbox:refunds_due":                            ("LR+++RRLL", "LRMMMRRLL"),
    "inbox:keep_several":                           ("LRMMMRRLL", "LR+++RRLL"),
    "inbox:waiting":                                ("LR+++RRLL", "LRMMMRRLL"),
    "inbox:notices":                                ("LR+++RRLL", "LR+++RRLL"),
    "inbox:logout":                                 ("LMMMMMMLL", "L++++++LL"),
    "inbox:signing_options":                        ("LR+0+RRLL", "LRMMMRRLL"),
    "inbox:tokens":                                 ("LR+++RRLL", "LR+++RRLL"),
    "inbox:token_revoke":                           ("LRMMMRRLL", "LR000RRLL"),
    # An order on a page of its own
    "order:page":                                   ("LR+0+RRLL", "LRM0MRRLL"),
    "order:refresh":                                ("LRM0MRRLL", "LR+0+RRLL"),
    "order:start":                                  ("LRM0MRRLL", "LR+0+RRLL"),
    "order:order_cancel":                           ("LR+0+RRLL", "LR+0+RRLL"),
    "order:order_refund":                           ("LR+0+RRLL", "LR+0+RRLL"),
    "order:order_suggestion":                       ("LRM0MRRLL", "LR+0+RRLL"),
    "order:order_confirm":                          ("LRM0MRRLL", "LR+0+RRLL"),
    "order:order_history":                          ("LR+0+RRLL", "LRM0MRRLL"),
    "order:order_action":                           ("LR+0+RRLL", "LRM0MRRLL"),
    "order:action_replay":                          ("LR+0+RRLL", "LRM0MRRLL"),
    "order:action_withdraw":                        ("LRM0MRRLL", "LR+0+RRLL"),
    "order:action_again":                           ("LR+0+RRLL", "LRM0MRRLL"),
    "order:action_check":                           ("LRM0MRRLL", "LR+0+RRLL"),
    # The panel in another help desk's frame
    "sidebar:frame":                                ("+++++++++", "MMMMMMMMM"),
    "sidebar:swap":                                 ("MMMMMMMMM", "RRRRRRRRR"),
    "sidebar:look":                                 ("MMMMMMMMM", "LLLLLLLLR"),
    "sidebar:renew":                                ("MMMMMMMMM", "LLLLLLLL+"),
    "sidebar:resume":                               ("MMMMMMMMM", "RRRRRRRRR"),
    "sidebar:connect":                              ("LR+++RRLL", "LR000RRLL"),
    "sidebar:orders":                               ("LLLLLLLL+", "LLLLLLLLM"),
    "sidebar:orders_refresh":                       ("LLLLLLLLM", "LLLLLLLL+"),
    "sidebar:order_card":                           ("LLLLLLLL+", "LLLLLLLLM"),
    "sidebar:order_cancel":                         ("LLLLLLLL+", "LLLLLLLL+"),
    "sidebar:order_refund":                         ("LLLLLLLL+", "LLLLLLLL+"),
    "sidebar:order_suggestion":                     ("LLLLLLLLM", "LLLLLLLL+"),
    "sidebar:order_confirm":                        ("LLLLLLLLM", "LLLLLLLL+"),
    "sidebar:order_history":                        ("LLLLLLLL+", "LLLLLLLLM"),
    "sidebar:order_action":                         ("LLLLLLLL+", "LLLLLLLLM"),
    "sidebar:action_replay":                        ("LLLLLLLL+", "LLLLLLLLM"),
    "sidebar:action_withdraw":                      ("LLLLLLLLM", "LLLLLLLL+"),
    "sidebar:action_again":                         ("LLLLLLLL+", "LLLLLLLLM"),
    "sidebar:action_check":                         ("LLLLLLLLM", "LLLLLLLL+"),
    # and in a window of our own
    "sidebar_window:order_review":                  ("LR+0+RRLL", "LRMMMRRLL"),
    "sidebar_window:orders":                        ("LR+++RRLL", "LRMMMRRLL"),
    "sidebar_window:orders_refresh":                ("LRMMMRRLL", "LR+++RRLL"),
    "sidebar_window:order_card":                    ("LR+0+RRLL", "LRMMMRRLL"),
    "sidebar_window:order_cancel":                  ("LR+0+RRLL", "LR+0+RRLL"),
    "sidebar_window:order_refund":                  ("LR+0+RRLL", "LR+0+RRLL"),
    "sidebar_window:order_suggestion":              ("LRMMMRRLL", "LR+0+RRLL"),
    "sidebar_window:order_confirm":                 ("LRMMMRRLL", "LR+0+RRLL"),
    "sidebar_window:order_history":                 ("LR+0+RRLL", "LRMMMRRLL"),
    "sidebar_window:order_action":                  ("LR+0+RRLL", "LRMMMRRLL"),
    "sidebar_window:action_replay":                 ("LR+0+RRLL", "LRMMMRRLL"),
    "sidebar_window:action_withdraw":               ("LRMMMRRLL", "LR+0+RRLL"),
    "sidebar_window:action_again":                  ("LR+0+RRLL", "LRMMMRRLL"),
    "sidebar_window:action_check":                  ("LRMMMRRLL", "LR+0+RRLL"),
    # REST
    "/api/v1/channels/<int:channel_id>/messages/":  ("LLLLLLLML", "LLLLLLL+L"),
    "/api/v1/orders/":                              ("LR+++RRLL", "LRMMMRRLL"),
    "/api/v1/orders/<int:order_id>/":               ("LR+0+RRLL", "LRMMMRRLL"),
    "/api/v1/orders/<int:order_id>/previews/":      ("LRMMMRRLL", "LR+0+RRLL"),
    "/api/v1/orders/<int:order_id>/actions/":       ("LRMMMRRLL", "LR+0+RRLL"),
    "/api/v1/actions/<int:action_id>/":             ("LR+0+RRLL", "LRMMMRRLL"),
    "/api/v1/actions/<int:action_id>/approve/":     ("LRMMMRRLL", "LR+0+RRLL"),
    "/api/v1/actions/<int:action_id>/decline/":     ("LRMMMRRLL", "LR+0+RRLL"),
    "/api/v1/actions/<int:action_id>/withdraw/":    ("LRMMMRRLL", "LR+0+RRLL"),
    "/api/v1/contacts/":                            ("LR+++RRLL", "LRMMMRRLL"),
    "/api/v1/contacts/<int:contact_id>/":           ("LR+0+RRLL", "LRMMMRRLL"),
    "/api/v1/contacts/<int:contact_id>/timeline/":  ("LR+0+RRLL", "LRMMMRRLL"),
    "/api/v1/decisions/":                           ("LR+++RRLL", "LRMMMRRLL"),
    "/api/v1/policies/":                            ("LRRRR++LL", "LRRRRMMLL"),
    "/api/v1/reports/money/":                       ("LRRRR++LL", "LRRRRMMLL"),
    "/api/v1/^.*$":                                 ("LR000RRLL", "LR000RRLL"),
    # The REST documentation
    "api-schema":                                   ("LR+++RRLL", "LRMMMRRLL"),
    "api-docs":                                     ("LR+++RRLL", "LRMMMRRLL"),
    # The admin, besides the pages of its models (MODELS)
    "admin:orders_money":                           ("LRRRR++LL", "LRRRRMMLL"),
    "admin:orders_money_csv":                       ("LRRRRMMLL", "LRRRR++LL"),
    "admin:orders_money_monthly":                   ("LRRRRMMLL", "LRRRR++LL"),
    "admin:index":                                  ("LRRRR++LL", "LRRRR++LL"),
    "admin:login":                                  ("LRRRR++LL", "LRRRR++LL"),
    "admin:logout":                                 ("L++++MMLL", "L++++++LL"),
    "admin:password_change":                        ("LRRRR++LL", "LRRRR++LL"),
    "admin:password_change_done":                   ("LRRRR++LL", "LRRRRMMLL"),
    "admin:autocomplete":                           ("LRRRRRRLL", "LRRRRMMLL"),
    "admin:jsi18n":                                 ("LRRRR++LL", "LRRRRMMLL"),
    "/admin/<model>/<id>/":                         ("LRRRR++LL", "LRRRR++LL"),
    "admin:orders_privacyrequest_export":           ("LRRRRMMLL", "LRRRR0RLL"),
    "admin:orders_privacyrequest_stop":             ("LRRRRMMLL", "LRRRR0RLL"),
    "admin:orders_privacyrequest_run":              ("LRRRRMMLL", "LRRRR0RLL"),
    "admin:shopify_sync_backfill_progress":         ("LRRRR00LL", "LRRRR00LL"),
    "admin:shopify_sync_connection_check":          ("LRRRR+RLL", "LRRRR+RLL"),
    "admin:shopify_sync_app_file":                  ("LRRRR+RLL", "LRRRR+RLL"),
    "admin:shopify_sync_replay_dead":               ("LRRRRMMLL", "LRRRR+RLL"),
    "admin:shopify_sync_read_order":                ("LRRRRMMLL", "LRRRR0RLL"),
    "admin:inbox_channel_key":                      ("LRRRRMMLL", "LRRRR+RLL"),
    "admin:inbox_webhookendpoint_secret":           ("LRRRRMMLL", "LRRRR0RLL"),
    "admin:inbox_webhookendpoint_test":             ("LRRRRMMLL", "LRRRR0RLL"),
    "admin:app_list":                               ("LRRRR++LL", "LRRRR++LL"),
    "/admin/(?P<url>.*)$":                          ("LRRRR00LL", "LRRRR00LL"),
    # Shopify
    "shopify-webhook":                              ("MMMMMMMMM", "LLLLLLLLL"),
    "shopify-install":                              ("LRRRR+RLL", "LRRRRMMLL"),
    "shopify-callback":                             ("LRRRR+RLL", "LRRRRMMLL"),
}
# fmt: on

# What the staff roles may do with the rows of each model in the admin. Agents and supervisors have no
# permission there, unless an administrator gives them one (tests/inbox/access/test_teams.py).
#                                    administrator              auditor
MODELS: Final[dict[str, tuple[str, str]]] = {
    "auth.group": ("view", "view"),
    "auth.user": ("view add change", "view"),
    "inbox.apitoken": ("view", ""),
    "inbox.campaign": ("view add change", "view"),
    "inbox.campaignmessage": ("view", ""),
    "inbox.channel": ("view add change", ""),
    "inbox.contact": ("", ""),
    "inbox.conversation": ("view", ""),
    "inbox.customerview": ("view", "view"),
    "inbox.failedlogin": ("view", "view"),
    "inbox.helpdeskframe": ("", ""),
    "inbox.rolegrant": ("view", ""),
    "inbox.team": ("view add change delete", "view"),
    "inbox.webhookdelivery": ("view", ""),
    "inbox.webhookendpoint": ("view add change", ""),
    "orders.auditentry": ("view", "view"),
    "orders.order": ("view", ""),
    "orders.orderaction": ("view", "view"),
    "orders.orderevent": ("view", "view"),
    "orders.policy": ("view add change delete", "view"),
    "orders.privacyrequest": ("view", "view"),
    "orders.redactedidentity": ("view", "view"),
    "orders.store": ("view add change", "view"),
    "shopify_sync.backfill": ("view", "view"),
    "shopify_sync.comparison": ("view", "view"),
    "shopify_sync.drift": ("view", "view"),
    "shopify_sync.shopconnection": ("view add change", ""),
    "shopify_sync.synccursor": ("view", "view"),
    "shopify_sync.webhookevent": ("view", ""),
    "shopify_sync.webhooktally": ("view", "view"),
}

# With another team's ID, these answer something else than 404 to those who got in with their own.
FOREIGN: Final[dict[tuple[str, str], str]] = {
    # A key is refused at any channel but its own, whether or not there is one.
    ("/api/v1/channels/<int:channel_id>/messages/", "channel key"): "R",
}


def letter_of(name: str, method: str, identity: str, *, has_row: bool = True) -> str:
    """Return the declared letter of a URL. `has_row`: whether the model has the row it is about."""
    if name in ROWS:
        return ROWS[name][0 if method == "GET" else 1][IDENTITIES.index(identity)]
    model, _, page = name.removeprefix("admin:").rpartition("_")
    label = next(label for label in MODELS if label.replace(".", "_") == model)
    if identity not in {"administrator", "auditor"}:
        return "R" if identity in IDENTITIES[1:5] else "L"
    granted = MODELS[label][0 if identity == "administrator" else 1].split()
    if page == "changelist":
        return "+" if granted else "R"
    if page == "add":
        return "+" if "add" in granted else "R"
    if not has_row and "view" in granted:
        return "0"
    needed = {
        "history": "view",
        "delete": "delete",
        "change": "view" if method == "GET" else "change",
    }
    return "+" if needed[page] in granted else "R"
