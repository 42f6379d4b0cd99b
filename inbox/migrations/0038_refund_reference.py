"""Name the placeholder of a bank’s reference where a campaign’s text is written."""

from django.db import migrations, models

import inbox.models.campaigns


class Migration(migrations.Migration):
    dependencies = [
        ("inbox", "0037_help_desk_kinds"),
    ]

    operations = [
        migrations.AlterField(
            model_name="campaign",
            name="body",
            field=models.TextField(
                help_text="Plain text. Placeholders: {{ order.number }}, {{ order.date }}, {{ customer.first_name|there }} (the text after | is used if the value is missing), {{ customer.name }}, {{ amount }}, {{ refund_sentence }}, {{ refund_how }} (when and how the money arrives: by card, in cash, by transfer …), {{ refund_reference }} (the bank’s reference, once Shopify has it), {{ tracking.numbers }}, {{ store.name }}. For checkouts: {{ checkout.url }}. For marketing emails: {{ unsubscribe_url }}.",
                validators=[inbox.models.campaigns.validate_placeholders],
            ),
        ),
        migrations.AlterField(
            model_name="campaigntranslation",
            name="body",
            field=models.TextField(
                help_text="Plain text. Placeholders: {{ order.number }}, {{ order.date }}, {{ customer.first_name|there }} (the text after | is used if the value is missing), {{ customer.name }}, {{ amount }}, {{ refund_sentence }}, {{ refund_how }} (when and how the money arrives: by card, in cash, by transfer …), {{ refund_reference }} (the bank’s reference, once Shopify has it), {{ tracking.numbers }}, {{ store.name }}. For checkouts: {{ checkout.url }}. For marketing emails: {{ unsubscribe_url }}.",
                validators=[inbox.models.campaigns.validate_placeholders],
            ),
        ),
    ]
