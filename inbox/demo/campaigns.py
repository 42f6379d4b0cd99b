"""The demo's campaigns, in its customers' languages."""

from __future__ import annotations

from typing import Final

# (name, columns, translations by language). Texts: (subject, body).
_Text = tuple[str, str]
CAMPAIGNS: Final[tuple[tuple[str, dict[str, object], dict[str, _Text]], ...]] = (
    (
        "Order canceled: confirmation",
        {
            "event_kind": "canceled",
            "subject": "Your order {{ order.number }} was canceled",
            "body": "Hello {{ customer.first_name|there }},\n\nYour order {{ order.number }} was "
            "canceled. {{ refund_sentence }} {{ refund_how }}\n\nKind regards\n{{ store.name }}",
        },
        {
            "de": (
                "Ihre Bestellung {{ order.number }} wurde storniert",
                "Guten Tag {{ customer.name|und danke für Ihren Einkauf }},\n\nIhre Bestellung "
                "{{ order.number }} wurde storniert. {{ refund_sentence }} {{ refund_how }}\n\n"
                "Freundliche Grüße\n{{ store.name }}",
            ),
            "ar": (
                "تم إلغاء طلبكم {{ order.number }}",
                "مرحبًا {{ customer.first_name|بكم }}،\n\nتم إلغاء طلبكم {{ order.number }}. "
                "{{ refund_sentence }} {{ refund_how }}\n\nمع أطيب التحيات\n{{ store.name }}",
            ),
        },
    ),
    (
        "Refunded: confirmation",
        {
            "event_kind": "refunded",
            "subject": "We are refunding {{ amount }}",
            "body": "Hello {{ customer.first_name|there }},\n\nWe are refunding {{ amount }} of "
            "your order {{ order.number }}. {{ refund_how }}\n\nKind regards\n{{ store.name }}",
        },
        {
            "de": (
                "Wir erstatten {{ amount }}",
                "Guten Tag {{ customer.name|und danke für Ihren Einkauf }},\n\nwir erstatten Ihnen "
                "{{ amount }} für Ihre Bestellung {{ order.number }}. {{ refund_how }}\n\n"
                "Freundliche Grüße\n{{ store.name }}",
            ),
            "ar": (
                "نعيد إليكم مبلغ {{ amount }}",
                "مرحبًا {{ customer.first_name|بكم }}،\n\nنعيد إليكم مبلغ {{ amount }} عن طلبكم "
                "{{ order.number }}. {{ refund_how }}\n\n"
                "مع أطيب التحيات\n{{ store.name }}",
            ),
        },
    ),
    (
        "Checkout abandoned: reminder",
        {
            "event_kind": "checkout_abandoned",
            "purpose": "marketing",
            "via_conversation": False,
            "abandoned_after_minutes": 60,
            "subject": "You left something behind",
            "body": "Hello {{ customer.first_name|there }},\n\nYour cart of {{ amount }} is still "
            "here: {{ checkout.url }}\n\nKind regards\n{{ store.name }}\n\n"
            "Unsubscribe: {{ unsubscribe_url }}",
        },
        {
            "de": (
                "Ihr Warenkorb wartet",
                "Guten Tag {{ customer.name|und danke für Ihren Besuch }},\n\nIhr Warenkorb über "
                "{{ amount }} ist noch da: {{ checkout.url }}\n\nFreundliche Grüße\n"
                "{{ store.name }}\n\nKeine weiteren Nachrichten: {{ unsubscribe_url }}",
            ),
            "ar": (
                "سلتكم في انتظاركم",
                "مرحبًا {{ customer.first_name|بكم }}،\n\nما زالت سلتكم بقيمة {{ amount }} في "
                "انتظاركم: {{ checkout.url }}\n\nمع أطيب التحيات\n{{ store.name }}\n\n"
                "لإلغاء الاشتراك: {{ unsubscribe_url }}",
            ),
        },
    ),
)
