"""Labels, choices and help texts only: SQL has nothing to do."""

import uuid
from decimal import Decimal

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import inbox.models.campaigns
import inbox.models.frames
from core.database.label_migrations import LabelsOnly


class Migration(migrations.Migration):
    dependencies = [
        ("inbox", "0017_opt_outs_kept"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    changes = [
        migrations.AlterField(
            model_name="campaign",
            name="abandoned_after_minutes",
            field=models.PositiveIntegerField(
                default=60,
                help_text="A checkout counts as abandoned after this many minutes without activity or an order.",
                validators=[
                    django.core.validators.MinValueValidator(10),
                    django.core.validators.MaxValueValidator(10080),
                ],
            ),
        ),
        migrations.AlterField(
            model_name="campaign",
            name="body",
            field=models.TextField(
                help_text="Plain text. Placeholders: {{ order.number }}, {{ order.date }}, {{ customer.first_name|there }} (the text after | is used if the value is missing), {{ customer.name }}, {{ amount }}, {{ refund_sentence }}, {{ refund_how }} (when and how the money arrives: by card, in cash, by transfer …), {{ tracking.numbers }}, {{ store.name }}. For checkouts: {{ checkout.url }}. For marketing emails: {{ unsubscribe_url }}.",
                validators=[inbox.models.campaigns.validate_placeholders],
            ),
        ),
        migrations.AlterField(
            model_name="campaign",
            name="event_kind",
            field=models.CharField(
                choices=[
                    ("placed", "Order placed"),
                    ("paid", "Payment received"),
                    ("fulfilled", "Order shipped"),
                    ("delivered", "Delivered"),
                    ("canceled", "Order canceled"),
                    ("refunded", "Refunded"),
                    ("checkout_started", "Checkout started"),
                    ("checkout_abandoned", "Checkout abandoned"),
                ],
                help_text="“Viewed a product”, “Added to cart”, and “Notify me” aren't available: Shopify reports them only to a pixel in the storefront.",
                max_length=20,
                verbose_name="when",
            ),
        ),
        migrations.AlterField(
            model_name="campaign",
            name="language",
            field=models.CharField(
                default="en",
                help_text="The language of the text here. For customers whose language has no translation below, amounts and dates are written in it too.",
                max_length=20,
                validators=[
                    django.core.validators.RegexValidator(
                        "\\A[a-z]{2,3}(-[A-Za-z0-9]{2,8})*\\Z",
                        "Enter a language code such as de, ar or pt-BR.",
                    )
                ],
            ),
        ),
        migrations.AlterField(
            model_name="campaign",
            name="purpose",
            field=models.CharField(
                choices=[("transactional", "Transactional"), ("marketing", "Marketing")],
                default="transactional",
                help_text="Transactional: news about an order the customer placed, sent to everyone. Marketing: sent only to customers whose consent is “subscribed” in Shopify, checked again before each message. Checkout reminders are marketing.",
                max_length=13,
            ),
        ),
        migrations.AlterField(
            model_name="campaign",
            name="quiet_days",
            field=models.PositiveSmallIntegerField(
                default=7,
                help_text="Marketing: the same customer gets this campaign at most once in this many days.",
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(365),
                ],
            ),
        ),
        migrations.AlterField(
            model_name="campaign",
            name="skip_when_shopify_notifies",
            field=models.BooleanField(
                default=True, help_text="Send nothing if the agent let Shopify email the customer."
            ),
        ),
        migrations.AlterField(
            model_name="campaign",
            name="sms_text",
            field=models.TextField(
                blank=True,
                help_text="A shorter text for SMS. Leave empty to use the text above.",
                max_length=480,
                validators=[inbox.models.campaigns.validate_placeholders],
                verbose_name="SMS",
            ),
        ),
        migrations.AlterField(
            model_name="campaign",
            name="staff_refund_minimum",
            field=models.DecimalField(
                decimal_places=2,
                default=Decimal(0),
                help_text="In the shop's currency. Refunds that staff make in Shopify's admin send this campaign only from this amount up; refunds by agents here always do. 0: every refund.",
                max_digits=12,
                validators=[django.core.validators.MinValueValidator(Decimal(0))],
                verbose_name="minimum for refunds made in Shopify",
            ),
        ),
        migrations.AlterField(
            model_name="campaign",
            name="staff_refund_wait_minutes",
            field=models.PositiveIntegerField(
                default=0,
                help_text="How many minutes to wait after staff make a refund in Shopify's admin, because Shopify may already have written to the customer. 0: send right away.",
                validators=[django.core.validators.MaxValueValidator(1440)],
                verbose_name="delay for refunds made in Shopify (minutes)",
            ),
        ),
        migrations.AlterField(
            model_name="campaign",
            name="subject",
            field=models.CharField(
                help_text="The email's subject. Can use the same placeholders as the text.",
                max_length=200,
                validators=[inbox.models.campaigns.validate_placeholders],
            ),
        ),
        migrations.AlterField(
            model_name="campaign",
            name="switched_on_at",
            field=models.DateTimeField(
                editable=False,
                help_text="When it was last turned on. Empty: it has been on since it was created.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="campaign",
            name="via_conversation",
            field=models.BooleanField(
                default=True,
                help_text="Sent to the customer's conversation.",
                verbose_name="in the conversation",
            ),
        ),
        migrations.AlterField(
            model_name="campaign",
            name="via_email",
            field=models.BooleanField(
                default=True,
                help_text="Sent to the order's email address.",
                verbose_name="by email",
            ),
        ),
        migrations.AlterField(
            model_name="campaign",
            name="via_sms",
            field=models.BooleanField(
                default=False,
                help_text="Sent to the order's phone number. Requires SMS_BACKEND.",
                verbose_name="by SMS",
            ),
        ),
        migrations.AlterField(
            model_name="campaigncondition",
            name="count",
            field=models.PositiveSmallIntegerField(
                default=1,
                help_text="Counts orders or checkouts, including the one that sends the message.",
                verbose_name="times",
            ),
        ),
        migrations.AlterField(
            model_name="campaigncondition",
            name="days",
            field=models.PositiveSmallIntegerField(
                blank=True,
                help_text="Empty: no time limit, as far back as this store's orders have been read.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(3650),
                ],
                verbose_name="within (days)",
            ),
        ),
        migrations.AlterField(
            model_name="campaignmessage",
            name="delivery_state",
            field=models.CharField(
                choices=[
                    ("kept", "Nothing to send"),
                    ("pending", "Sending"),
                    ("sent", "Sent"),
                    ("failed", "Not delivered"),
                ],
                default="kept",
                max_length=8,
            ),
        ),
        migrations.AlterField(
            model_name="campaignmessage",
            name="failed_at",
            field=models.DateTimeField(
                blank=True, help_text="When sending was given up after the last attempt.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="campaignmessage",
            name="lease_until",
            field=models.DateTimeField(
                blank=True, help_text="A worker may be sending it until then.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="campaignmessage",
            name="queued_at",
            field=models.DateTimeField(
                blank=True, help_text="When an agent sent it again after it had failed.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="campaignmessage",
            name="sent_at",
            field=models.DateTimeField(
                blank=True, help_text="When the channel accepted it.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="campaignmessage",
            name="via",
            field=models.CharField(
                choices=[
                    ("conversation", "In the conversation"),
                    ("email", "Email"),
                    ("sms", "SMS"),
                ],
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="campaigntranslation",
            name="body",
            field=models.TextField(
                help_text="Plain text. Placeholders: {{ order.number }}, {{ order.date }}, {{ customer.first_name|there }} (the text after | is used if the value is missing), {{ customer.name }}, {{ amount }}, {{ refund_sentence }}, {{ refund_how }} (when and how the money arrives: by card, in cash, by transfer …), {{ tracking.numbers }}, {{ store.name }}. For checkouts: {{ checkout.url }}. For marketing emails: {{ unsubscribe_url }}.",
                validators=[inbox.models.campaigns.validate_placeholders],
            ),
        ),
        migrations.AlterField(
            model_name="campaigntranslation",
            name="language",
            field=models.CharField(
                help_text="A language code such as de or ar. Customers whose language is pt-BR also get pt.",
                max_length=20,
                validators=[
                    django.core.validators.RegexValidator(
                        "\\A[a-z]{2,3}(-[A-Za-z0-9]{2,8})*\\Z",
                        "Enter a language code such as de, ar or pt-BR.",
                    )
                ],
            ),
        ),
        migrations.AlterField(
            model_name="campaigntranslation",
            name="sms_text",
            field=models.TextField(
                blank=True,
                help_text="A shorter text for SMS. Leave empty to use the text above.",
                max_length=480,
                validators=[inbox.models.campaigns.validate_placeholders],
                verbose_name="SMS",
            ),
        ),
        migrations.AlterField(
            model_name="campaigntranslation",
            name="subject",
            field=models.CharField(
                help_text="The email's subject. Can use the same placeholders as the text.",
                max_length=200,
                validators=[inbox.models.campaigns.validate_placeholders],
            ),
        ),
        migrations.AlterField(
            model_name="channel",
            name="callback_url",
            field=models.URLField(
                blank=True,
                help_text="Replies are posted to this URL, signed according to Standard Webhooks. If empty, replies stay in the conversation.",
                max_length=500,
            ),
        ),
        migrations.AlterField(
            model_name="channel",
            name="is_active",
            field=models.BooleanField(
                default=True,
                help_text="If off, its messages are rejected and nothing is sent through it.",
            ),
        ),
        migrations.AlterField(
            model_name="channel",
            name="kind",
            field=models.CharField(
                choices=[("api", "Messenger (API)"), ("email", "Email")],
                default="api",
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="channel",
            name="proves_addresses",
            field=models.BooleanField(
                default=False,
                help_text="Select this only if no one can write under an address that isn't theirs, as in a messenger that knows users by phone number or a chat behind your own login. If off, an address counts as verified only if the message says so (sender.verified); any other address only suggests a customer.",
                verbose_name="always verifies its senders' addresses",
            ),
        ),
        migrations.AlterField(
            model_name="claim",
            name="kind",
            field=models.CharField(
                choices=[
                    ("email", "Email"),
                    ("phone", "Phone"),
                    ("shopify_customer", "Shopify customer"),
                    ("channel_user", "Channel user"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="claim",
            name="source",
            field=models.CharField(
                blank=True, help_text="Who or what provided it.", max_length=100
            ),
        ),
        migrations.AlterField(
            model_name="claim",
            name="value",
            field=models.CharField(
                help_text="Normalized like an identity's value; kept as written if it can't be parsed.",
                max_length=255,
            ),
        ),
        migrations.AlterField(
            model_name="contact",
            name="language",
            field=models.CharField(
                blank=True, help_text="A language code such as de. Empty: unknown.", max_length=20
            ),
        ),
        migrations.AlterField(
            model_name="conversation",
            name="assigned_at",
            field=models.DateTimeField(
                blank=True, editable=False, help_text="When its assignee last changed.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="conversation",
            name="external_id",
            field=models.CharField(help_text="The channel's own ID for it.", max_length=200),
        ),
        migrations.AlterField(
            model_name="conversation",
            name="has_undelivered",
            field=models.BooleanField(
                default=False, help_text="A reply failed for good and hasn't been sent again."
            ),
        ),
        migrations.AlterField(
            model_name="conversation",
            name="is_unread",
            field=models.BooleanField(
                default=False,
                help_text="The customer wrote something that the assignee hasn't read, or, if it is unassigned, that no agent has.",
            ),
        ),
        migrations.AlterField(
            model_name="conversation",
            name="last_message_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now,
                help_text="When the last message arrived or was written here, or when a snooze ended.",
            ),
        ),
        migrations.AlterField(
            model_name="conversation",
            name="last_press",
            field=models.UUIDField(
                blank=True,
                editable=False,
                help_text="The browser's ID for the click that last changed it, so that a repeat is recognized.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="conversation",
            name="state_changed_by",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                help_text="Who last opened, snoozed, or resolved it. Empty: it reopened automatically.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AlterField(
            model_name="conversation",
            name="waiting_since",
            field=models.DateTimeField(
                blank=True, help_text="When the customer began waiting for a reply.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="draft",
            name="client_id",
            field=models.UUIDField(
                default=uuid.uuid4, help_text="The composer's ID, which the message will carry."
            ),
        ),
        migrations.AlterField(
            model_name="draft",
            name="text",
            field=models.TextField(
                help_text="Empty: it was cleared, and saves from before that are ignored."
            ),
        ),
        migrations.AlterField(
            model_name="draft",
            name="version",
            field=models.UUIDField(
                default=uuid.uuid4, help_text="The browser's ID for the save that wrote this."
            ),
        ),
        migrations.AlterField(
            model_name="helpdeskframe",
            name="confirm_up_to",
            field=models.DecimalField(
                decimal_places=2,
                default=Decimal(0),
                help_text="In the shop's currency. Above this amount, the confirmation opens in a separate window, where the other page can't cover the button. 0: every confirmation does.",
                max_digits=12,
                validators=[django.core.validators.MinValueValidator(Decimal(0))],
                verbose_name="Confirm in the frame up to",
            ),
        ),
        migrations.AlterField(
            model_name="helpdeskframe",
            name="is_active",
            field=models.BooleanField(
                default=True, help_text="If off, the help desk can't show the panel."
            ),
        ),
        migrations.AlterField(
            model_name="helpdeskframe",
            name="kind",
            field=models.CharField(
                choices=[
                    ("chatwoot", "Chatwoot (dashboard app)"),
                    ("generic", "Other help desk (signed URL)"),
                ],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="helpdeskframe",
            name="origins",
            field=models.TextField(
                help_text="The origins of the help desk's pages, one per line: https://desk.example.com. Only these can show the panel and send it messages.",
                validators=[inbox.models.frames._check_origins],
            ),
        ),
        migrations.AlterField(
            model_name="helpdeskframe",
            name="proves_addresses",
            field=models.BooleanField(
                default=False,
                help_text="Select this only if customers can't write to that help desk under an address that isn't theirs (in Chatwoot: with identity validation, or channels that verify the address themselves). If off, a signed address must say “verified”; an unverified address shows no orders.",
                verbose_name="always verifies its customers' addresses",
            ),
        ),
        migrations.AlterField(
            model_name="identity",
            name="is_set_aside",
            field=models.BooleanField(
                default=False,
                help_text="Suggested, but an agent marked it as belonging to someone else.",
            ),
        ),
        migrations.AlterField(
            model_name="identity",
            name="kind",
            field=models.CharField(
                choices=[
                    ("email", "Email"),
                    ("phone", "Phone"),
                    ("shopify_customer", "Shopify customer"),
                    ("channel_user", "Channel user"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="identity",
            name="source",
            field=models.CharField(
                blank=True, help_text="Who or what provided it.", max_length=100
            ),
        ),
        migrations.AlterField(
            model_name="identity",
            name="value",
            field=models.CharField(
                help_text="Email in lowercase, phone number as +4915112345678, Shopify customer as <store ID>:<gid>.",
                max_length=255,
            ),
        ),
        migrations.AlterField(
            model_name="liveevent",
            name="topics",
            field=models.TextField(
                help_text="Topics of the screens that changed, separated by spaces."
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="arrived_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now, help_text="When we received it."
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="attachments",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text="Files stored by the messenger: name, url, content_type.",
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="client_id",
            field=models.UUIDField(
                blank=True,
                help_text="The browser's ID for one click on Send, so that a repeat finds this row.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="cut_from",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="The message's full length in characters, if it was cut.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="delivery_state",
            field=models.CharField(
                choices=[
                    ("kept", "Nothing to send"),
                    ("pending", "Sending"),
                    ("sent", "Sent"),
                    ("failed", "Not delivered"),
                ],
                default="kept",
                max_length=8,
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="external_id",
            field=models.CharField(
                blank=True,
                help_text="The channel's own ID, so that a repeat finds this row.",
                max_length=200,
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="failed_at",
            field=models.DateTimeField(
                blank=True, help_text="When sending was given up after the last attempt.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="handled_by",
            field=models.ForeignKey(
                blank=True,
                help_text="Who sent it again or dismissed the failed delivery.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="lease_until",
            field=models.DateTimeField(
                blank=True, help_text="A worker may be sending it until then.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="queued_at",
            field=models.DateTimeField(
                blank=True, help_text="When an agent sent it again after it had failed.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="recipient",
            field=models.CharField(
                blank=True,
                help_text="Where a reply goes, fixed when it was written: an email address, or the messenger's own ID for the person.",
                max_length=255,
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="sent_at",
            field=models.DateTimeField(
                blank=True, help_text="When the channel accepted it.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="text",
            field=models.TextField(
                blank=True, help_text="Empty: only files, or content that can't be shown."
            ),
        ),
        migrations.AlterField(
            model_name="optout",
            name="kept_at",
            field=models.DateTimeField(
                blank=True,
                help_text="When it was written to the ledger file, which is kept apart from backups.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="participant",
            name="address",
            field=models.CharField(
                blank=True,
                help_text="The address they last wrote from, which replies go to.",
                max_length=255,
            ),
        ),
        migrations.AlterField(
            model_name="participant",
            name="external_id",
            field=models.CharField(help_text="The channel's own ID for them.", max_length=200),
        ),
        migrations.AlterField(
            model_name="participant",
            name="name",
            field=models.CharField(
                blank=True, help_text="The name the channel gives.", max_length=255
            ),
        ),
        migrations.AlterField(
            model_name="readmark",
            name="read_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now,
                help_text="When something new in it was last shown to them.",
            ),
        ),
        migrations.AlterField(
            model_name="route",
            name="failures",
            field=models.PositiveIntegerField(
                default=0, help_text="How many times in a row the other side failed to respond."
            ),
        ),
        migrations.AlterField(
            model_name="route",
            name="rest_until",
            field=models.DateTimeField(
                blank=True, help_text="Nothing is sent through it until then.", null=True
            ),
        ),
    ]
    operations = [LabelsOnly(state_operations=changes)]
