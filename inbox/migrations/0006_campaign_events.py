import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import inbox.models.campaigns


class Migration(migrations.Migration):
    dependencies = [
        ("inbox", "0005_set_aside"),
        ("orders", "0010_checkouts"),
    ]

    operations = [
        migrations.CreateModel(
            name="CampaignCondition",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "event_kind",
                    models.CharField(
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
                        max_length=20,
                        verbose_name="what",
                    ),
                ),
                (
                    "comparison",
                    models.CharField(
                        choices=[
                            ("at_least", "at least"),
                            ("at_most", "at most"),
                            ("exactly", "exactly"),
                            ("never", "not at all"),
                        ],
                        max_length=8,
                        verbose_name="how often",
                    ),
                ),
                (
                    "count",
                    models.PositiveSmallIntegerField(
                        default=1,
                        help_text="Counted in orders, or in checkouts. The event that sends the message counts.",
                        verbose_name="times",
                    ),
                ),
                (
                    "days",
                    models.PositiveSmallIntegerField(
                        blank=True,
                        help_text="Empty: ever, as far back as this store's orders were read.",
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(3650),
                        ],
                        verbose_name="within days",
                    ),
                ),
            ],
            options={
                "verbose_name": "audience condition",
                "ordering": ["pk"],
            },
        ),
        migrations.RemoveConstraint(
            model_name="campaign",
            name="inbox_campaign_event_known",
        ),
        migrations.RemoveConstraint(
            model_name="campaignmessage",
            name="inbox_via_known",
        ),
        migrations.RemoveConstraint(
            model_name="campaignmessage",
            name="inbox_campaign_state_known",
        ),
        migrations.AddField(
            model_name="campaign",
            name="abandoned_after_minutes",
            field=models.PositiveIntegerField(
                default=60,
                help_text="A checkout counts as abandoned when nothing happened to it for so many minutes and no order was placed.",
                validators=[
                    django.core.validators.MinValueValidator(10),
                    django.core.validators.MaxValueValidator(10080),
                ],
            ),
        ),
        migrations.AddField(
            model_name="campaign",
            name="created_at",
            field=models.DateTimeField(default=django.utils.timezone.now, editable=False),
        ),
        migrations.AddField(
            model_name="campaign",
            name="language",
            field=models.CharField(
                default="en",
                help_text="The language of the texts here. Sums and dates are written in it for customers whose own language has no translation below.",
                max_length=20,
                validators=[
                    django.core.validators.RegexValidator(
                        "\\A[a-z]{2,3}(-[A-Za-z0-9]{2,8})*\\Z",
                        "Enter a language code such as de, ar or pt-BR.",
                    )
                ],
            ),
        ),
        migrations.AddField(
            model_name="campaign",
            name="purpose",
            field=models.CharField(
                choices=[("transactional", "Transactional"), ("marketing", "Marketing")],
                default="transactional",
                help_text="Transactional: news of an order the customer placed, sent to everybody. Marketing: only to customers whose consent Shopify shows as subscribed, read anew before each message. Reminders of a checkout are marketing.",
                max_length=13,
            ),
        ),
        migrations.AddField(
            model_name="campaign",
            name="quiet_days",
            field=models.PositiveSmallIntegerField(
                default=7,
                help_text="Marketing: the same customer gets this campaign at most once in so many days.",
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(365),
                ],
            ),
        ),
        migrations.AddField(
            model_name="campaign",
            name="sms_text",
            field=models.TextField(
                blank=True,
                help_text="A shorter text for SMS. Empty: the text above.",
                max_length=480,
                validators=[inbox.models.campaigns.validate_placeholders],
                verbose_name="SMS",
            ),
        ),
        migrations.AddField(
            model_name="campaign",
            name="via_sms",
            field=models.BooleanField(
                default=False,
                help_text="To the order's phone number. Needs SMS_BACKEND.",
                verbose_name="by SMS",
            ),
        ),
        migrations.AddField(
            model_name="campaignmessage",
            name="checkout",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="campaign_messages",
                to="orders.checkout",
            ),
        ),
        migrations.AddField(
            model_name="campaignmessage",
            name="written_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="campaigntranslation",
            name="sms_text",
            field=models.TextField(
                blank=True,
                help_text="A shorter text for SMS. Empty: the text above.",
                max_length=480,
                validators=[inbox.models.campaigns.validate_placeholders],
                verbose_name="SMS",
            ),
        ),
        migrations.AlterField(
            model_name="campaign",
            name="body",
            field=models.TextField(
                help_text="Plain text. Placeholders: {{ order.number }}, {{ order.date }}, {{ customer.first_name|there }} (the words after | are used where the value is missing), {{ customer.name }}, {{ amount }}, {{ refund_sentence }}, {{ tracking.numbers }}, {{ store.name }}; of checkouts {{ checkout.url }}; of marketing by e-mail {{ unsubscribe_url }}.",
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
                help_text="Viewed a product, added to cart and notify me are not here: Shopify tells of them only to a pixel in the storefront.",
                max_length=20,
                verbose_name="when",
            ),
        ),
        migrations.AlterField(
            model_name="campaignmessage",
            name="event",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="campaign_messages",
                to="orders.orderevent",
            ),
        ),
        migrations.AlterField(
            model_name="campaignmessage",
            name="state",
            field=models.CharField(
                choices=[
                    ("waiting", "Waiting for Shopify's answer"),
                    ("written", "Written"),
                    ("skipped", "Skipped"),
                ],
                max_length=8,
            ),
        ),
        migrations.AlterField(
            model_name="campaignmessage",
            name="via",
            field=models.CharField(
                choices=[
                    ("conversation", "In the conversation"),
                    ("email", "E-mail"),
                    ("sms", "SMS"),
                ],
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="campaigntranslation",
            name="body",
            field=models.TextField(
                help_text="Plain text. Placeholders: {{ order.number }}, {{ order.date }}, {{ customer.first_name|there }} (the words after | are used where the value is missing), {{ customer.name }}, {{ amount }}, {{ refund_sentence }}, {{ tracking.numbers }}, {{ store.name }}; of checkouts {{ checkout.url }}; of marketing by e-mail {{ unsubscribe_url }}.",
                validators=[inbox.models.campaigns.validate_placeholders],
            ),
        ),
        migrations.AlterField(
            model_name="campaigntranslation",
            name="language",
            field=models.CharField(
                help_text="A language code such as de or ar. pt is also read by customers of pt-BR.",
                max_length=20,
                validators=[
                    django.core.validators.RegexValidator(
                        "\\A[a-z]{2,3}(-[A-Za-z0-9]{2,8})*\\Z",
                        "Enter a language code such as de, ar or pt-BR.",
                    )
                ],
            ),
        ),
        migrations.AddIndex(
            model_name="campaignmessage",
            index=models.Index(
                condition=models.Q(("state", "waiting")),
                fields=["next_attempt_at"],
                name="inbox_campaign_waiting",
            ),
        ),
        migrations.AddIndex(
            model_name="campaignmessage",
            index=models.Index(
                condition=models.Q(("state", "written")),
                fields=["campaign", "written_at"],
                name="inbox_campaign_written",
            ),
        ),
        migrations.AddConstraint(
            model_name="campaign",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "event_kind__in",
                        [
                            "placed",
                            "paid",
                            "fulfilled",
                            "delivered",
                            "canceled",
                            "refunded",
                            "checkout_started",
                            "checkout_abandoned",
                        ],
                    )
                ),
                name="inbox_campaign_event_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="campaign",
            constraint=models.CheckConstraint(
                condition=models.Q(("purpose__in", ["transactional", "marketing"])),
                name="inbox_campaign_purpose_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="campaign",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("event_kind__in", ("canceled", "refunded")), _negated=True),
                    ("purpose", "transactional"),
                    _connector="OR",
                ),
                name="inbox_confirmations_reach_everybody",
            ),
        ),
        migrations.AddConstraint(
            model_name="campaign",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("event_kind__in", ("checkout_started", "checkout_abandoned")),
                        _negated=True,
                    ),
                    ("purpose", "marketing"),
                    _connector="OR",
                ),
                name="inbox_checkout_campaigns_need_consent",
            ),
        ),
        migrations.AddConstraint(
            model_name="campaign",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("purpose", "transactional"), ("via_conversation", False), _connector="OR"
                ),
                name="inbox_no_marketing_in_conversations",
            ),
        ),
        migrations.AddConstraint(
            model_name="campaignmessage",
            constraint=models.UniqueConstraint(
                fields=("campaign", "checkout", "via"), name="inbox_each_checkout_message_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="campaignmessage",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("checkout__isnull", False), ("event", None)),
                    models.Q(("checkout", None), ("event__isnull", False)),
                    _connector="OR",
                ),
                name="inbox_message_of_event_or_checkout",
            ),
        ),
        migrations.AddConstraint(
            model_name="campaignmessage",
            constraint=models.CheckConstraint(
                condition=models.Q(("via__in", ["conversation", "email", "sms"])),
                name="inbox_via_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="campaignmessage",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["waiting", "written", "skipped"])),
                name="inbox_campaign_state_known",
            ),
        ),
        migrations.AddField(
            model_name="campaigncondition",
            name="campaign",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="conditions",
                to="inbox.campaign",
            ),
        ),
        migrations.AddConstraint(
            model_name="campaigncondition",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "event_kind__in",
                        [
                            "placed",
                            "paid",
                            "fulfilled",
                            "delivered",
                            "canceled",
                            "refunded",
                            "checkout_started",
                            "checkout_abandoned",
                        ],
                    )
                ),
                name="inbox_condition_event_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="campaigncondition",
            constraint=models.CheckConstraint(
                condition=models.Q(("comparison__in", ["at_least", "at_most", "exactly", "never"])),
                name="inbox_condition_comparison_known",
            ),
        ),
    ]
