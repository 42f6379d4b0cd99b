"""Labels, choices and help texts only: SQL has nothing to do."""

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import core.encryption
import orders.models.stores
from core.database.label_migrations import LabelsOnly


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("orders", "0020_dirty_by_store"),
    ]

    changes = [
        migrations.AlterField(
            model_name="auditentry",
            name="actor",
            field=models.CharField(
                blank=True, help_text="Username. Empty: the system.", max_length=150
            ),
        ),
        migrations.AlterField(
            model_name="auditentry",
            name="kind",
            field=models.CharField(
                choices=[
                    ("action", "Action updated"),
                    ("approval", "Approval given"),
                    ("settled_by_hand", "Resolved manually"),
                    ("money_kept", "Payment kept on purpose"),
                    ("log_in", "Logged in"),
                    ("log_out", "Logged out"),
                    ("log_in_failed", "Login failed"),
                    ("permissions", "Permissions changed"),
                    ("policy", "Policy changed"),
                    ("store", "Store changed"),
                    ("export", "Data exported"),
                    ("privacy", "Privacy request"),
                    ("identity", "Identity confirmed without proof"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="checkout",
            name="active_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now, help_text="When it last changed."
            ),
        ),
        migrations.AlterField(
            model_name="checkout",
            name="next_read_at",
            field=models.DateTimeField(
                help_text="Until when a reader's lease or its back-off lasts.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="customer",
            name="merged_into",
            field=models.CharField(
                blank=True,
                help_text="The gid of the customer that this one was merged into.",
                max_length=100,
            ),
        ),
        migrations.AlterField(
            model_name="customer",
            name="read_started_at",
            field=models.DateTimeField(
                blank=True,
                help_text="When the read that is stored began. Empty: known only from orders.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="document",
            field=models.TextField(
                blank=True, help_text="The snapshot as JSON. Empty: not read yet."
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="is_incomplete",
            field=models.BooleanField(
                default=False,
                help_text="One of its lists couldn't be read completely, so agents can't act on it here.",
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="is_partial",
            field=models.BooleanField(
                default=False,
                help_text="From an import: which items are in which parcel is still unknown.",
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="is_test",
            field=models.BooleanField(
                default=False, help_text="A Shopify test order, which moved no real money."
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="legacy_id",
            field=models.BigIntegerField(help_text="Shopify's numeric order ID."),
        ),
        migrations.AlterField(
            model_name="order",
            name="masked_at",
            field=models.DateTimeField(help_text="When its personal data was masked.", null=True),
        ),
        migrations.AlterField(
            model_name="order",
            name="missing_since",
            field=models.DateTimeField(help_text="When a read first didn't find it.", null=True),
        ),
        migrations.AlterField(
            model_name="order",
            name="read_started_at",
            field=models.DateTimeField(help_text="When the read that is stored began.", null=True),
        ),
        migrations.AlterField(
            model_name="order",
            name="reserved",
            field=models.DecimalField(
                decimal_places=4,
                default=0,
                help_text="Set aside for refunds that haven't ended.",
                max_digits=19,
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="stale_since",
            field=models.DateTimeField(
                help_text="When reads began to return older data than what is stored.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="state_since",
            field=models.DateTimeField(
                help_text="When it got its current appearance; earlier states are in OrderVersion.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="version",
            field=models.PositiveIntegerField(
                default=0, help_text="Goes up with every visible change."
            ),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="accepted_steps",
            field=models.PositiveSmallIntegerField(
                default=0,
                help_text="How many of the first steps were accepted or seen done; those are never sent again.",
            ),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="amount_shop",
            field=models.DecimalField(
                decimal_places=4,
                default=0,
                help_text="The same amount in the shop's currency, which limits are set in.",
                max_digits=19,
            ),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="crashes",
            field=models.PositiveSmallIntegerField(
                default=0, help_text="How many workers in a row died while processing it."
            ),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="evidence_at",
            field=models.DateTimeField(help_text="When Shopify showed it as done.", null=True),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="expires_at",
            field=models.DateTimeField(
                help_text="If it hasn't been approved and sent by then, it expires.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="is_doubtful",
            field=models.BooleanField(
                default=False, help_text="The outcome of that step's last send is unknown."
            ),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="maybe_applied",
            field=models.BooleanField(
                default=False, help_text="Shopify may have received a request."
            ),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="message",
            field=models.TextField(blank=True, help_text="Shopify's response, word for word."),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="nonce",
            field=models.CharField(
                help_text="One for each summary shown, so that a second click finds this row.",
                max_length=64,
            ),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="notify",
            field=models.BooleanField(
                default=False, help_text="Whether Shopify emails the customer itself."
            ),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="origin",
            field=models.CharField(
                blank=True,
                help_text="Where it was requested, such as conversation:12.",
                max_length=100,
            ),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="outcome",
            field=models.CharField(
                blank=True,
                choices=[
                    ("done", "Done"),
                    ("done_by_hand", "Done, according to a supervisor"),
                    ("awaiting_bank", "Waiting for the bank"),
                    ("failed_at_bank", "Failed at the bank"),
                    ("partly_failed_at_bank", "Failed in part at the bank"),
                    ("refused_by_shopify", "Refused by Shopify"),
                    ("refused_by_rules", "Stopped by our rules"),
                    ("stale", "The order changed in the meantime"),
                    ("order_gone", "Shopify no longer shows the order"),
                    ("not_booked", "Shopify recorded no refund"),
                    ("not_done_by_hand", "Not carried out, according to a supervisor"),
                    ("withdrawn", "Withdrawn"),
                    ("uninstalled", "Not sent: the app was uninstalled"),
                    ("erased", "Not sent: the customer’s data had to be deleted"),
                    ("declined", "Declined"),
                    ("not_approved", "Not approved in time"),
                    ("not_sent", "Not sent within a day"),
                ],
                help_text="How it ended, and why.",
                max_length=30,
            ),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="reserved",
            field=models.DecimalField(
                decimal_places=4,
                default=0,
                help_text="Set aside from the order's money until the action ends.",
                max_digits=19,
            ),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="sent_at",
            field=models.DateTimeField(
                help_text="When the first byte was sent to Shopify; spending limits count from here.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="state",
            field=models.CharField(
                choices=[
                    ("awaiting_approval", "Waiting for approval"),
                    ("queued", "Starting"),
                    ("sending", "Sending to Shopify"),
                    ("pending", "Shopify is working on it"),
                    ("unknown", "Checking with Shopify"),
                    ("blocked", "Waiting for an administrator"),
                    ("needs_human", "Compare with Shopify"),
                    ("succeeded", "Done"),
                    ("partial", "Canceled, refund failed"),
                    ("rejected", "Not carried out"),
                    ("reversed", "Refund failed at the bank"),
                    ("withdrawn", "Withdrawn"),
                    ("declined", "Declined"),
                    ("expired", "Expired"),
                    ("awaiting_bank", "Waiting for the bank"),
                ],
                default="queued",
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="step",
            field=models.PositiveSmallIntegerField(
                default=0, help_text="The step that was started last."
            ),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="step_first_sent_at",
            field=models.DateTimeField(
                help_text="When that step was first sent, which starts its idempotency key's 24 hours.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="orderaction",
            name="step_last_sent_at",
            field=models.DateTimeField(
                help_text="When that step was last sent; Shopify may still commit it for a while after this.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="orderevent",
            name="announce_after",
            field=models.DateTimeField(
                help_text="Campaigns failed to process it and will try again then.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="orderevent",
            name="unsettled_at",
            field=models.DateTimeField(
                help_text="When we last saw that the bank hadn't confirmed it yet.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="orderrefund",
            name="amount",
            field=models.DecimalField(
                decimal_places=4, help_text="The amount Shopify recorded.", max_digits=19
            ),
        ),
        migrations.AlterField(
            model_name="orderrefund",
            name="failed",
            field=models.DecimalField(
                decimal_places=4,
                default=0,
                help_text="The part the payment provider didn't pay out.",
                max_digits=19,
            ),
        ),
        migrations.AlterField(
            model_name="orderrefund",
            name="moved",
            field=models.DecimalField(
                decimal_places=4, default=0, help_text="The part that was paid out.", max_digits=19
            ),
        ),
        migrations.AlterField(
            model_name="orderrefund",
            name="waiting",
            field=models.DecimalField(
                decimal_places=4,
                default=0,
                help_text="The part the payment provider hasn't confirmed yet.",
                max_digits=19,
            ),
        ),
        migrations.AlterField(
            model_name="orderversion",
            name="document",
            field=models.BinaryField(help_text="The snapshot as JSON, compressed with zlib."),
        ),
        migrations.AlterField(
            model_name="orderversion",
            name="number",
            field=models.PositiveIntegerField(
                help_text="The order's `version` while it looked like this."
            ),
        ),
        migrations.AlterField(
            model_name="policy",
            name="approval_up_to",
            field=models.DecimalField(
                blank=True,
                decimal_places=4,
                help_text="The largest refund that can be requested at all. Empty: any amount, with approval.",
                max_digits=19,
                null=True,
                validators=[django.core.validators.MinValueValidator(0)],
            ),
        ),
        migrations.AlterField(
            model_name="policy",
            name="may_approve_up_to",
            field=models.DecimalField(
                blank=True,
                decimal_places=4,
                default=0,
                help_text="The largest refund by someone else that this role can approve. 0: none. Empty: any.",
                max_digits=19,
                null=True,
                validators=[django.core.validators.MinValueValidator(0)],
            ),
        ),
        migrations.AlterField(
            model_name="policy",
            name="note_above",
            field=models.DecimalField(
                blank=True,
                decimal_places=4,
                help_text="Larger refunds require a staff note. Empty: never required.",
                max_digits=19,
                null=True,
                validators=[django.core.validators.MinValueValidator(0)],
            ),
        ),
        migrations.AlterField(
            model_name="policy",
            name="refund_per_day",
            field=models.DecimalField(
                blank=True,
                decimal_places=4,
                help_text="How much a person can refund in any 24 hours without approval. Empty: no limit.",
                max_digits=19,
                null=True,
                validators=[django.core.validators.MinValueValidator(0)],
            ),
        ),
        migrations.AlterField(
            model_name="policy",
            name="role",
            field=models.ForeignKey(
                help_text="Such as agents or supervisors.",
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="auth.group",
            ),
        ),
        migrations.AlterField(
            model_name="policy",
            name="store",
            field=models.ForeignKey(
                blank=True,
                help_text="Leave empty for every store that has no policy of its own for this role.",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="policies",
                to="orders.store",
            ),
        ),
        migrations.AlterField(
            model_name="policy",
            name="two_approvers_above",
            field=models.DecimalField(
                blank=True,
                decimal_places=4,
                help_text="Larger refunds need approval from two people. Empty: one is enough.",
                max_digits=19,
                null=True,
                validators=[django.core.validators.MinValueValidator(0)],
            ),
        ),
        migrations.AlterField(
            model_name="privacyrequest",
            name="due_at",
            field=models.DateTimeField(help_text="The legal deadline."),
        ),
        migrations.AlterField(
            model_name="privacyrequest",
            name="evidence",
            field=models.JSONField(
                default=dict,
                help_text="Rows for each kind of data, and keyed hashes of the identifiers.",
            ),
        ),
        migrations.AlterField(
            model_name="privacyrequest",
            name="fingerprint",
            field=models.CharField(
                editable=False,
                help_text="Keyed hash of the request, so that the same one is handled only once.",
                max_length=64,
            ),
        ),
        migrations.AlterField(
            model_name="privacyrequest",
            name="grace_until",
            field=models.DateTimeField(help_text="It can be stopped until then.", null=True),
        ),
        migrations.AlterField(
            model_name="privacyrequest",
            name="kind",
            field=models.CharField(
                choices=[
                    ("data_request", "Customer data export"),
                    ("customer_redact", "Customer data deletion"),
                    ("shop_redact", "Shop data deletion"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="privacyrequest",
            name="note",
            field=models.CharField(
                blank=True, help_text="Why it's waiting or how it ended.", max_length=255
            ),
        ),
        migrations.AlterField(
            model_name="privacyrequest",
            name="sealed_scope",
            field=core.encryption.SealedTextField(
                blank=True,
                editable=False,
                help_text="Whose data it concerns, encrypted; cleared at the end.",
            ),
        ),
        migrations.AlterField(
            model_name="privacyrequest",
            name="state",
            field=models.CharField(
                choices=[
                    ("waiting", "Waiting"),
                    ("grace", "Deletion scheduled"),
                    ("working", "In progress"),
                    ("ready", "Ready to download"),
                    ("done", "Done"),
                    ("stopped", "Stopped"),
                    ("refused", "Refused"),
                    ("expired", "Not downloaded in time"),
                ],
                default="waiting",
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="redactedidentity",
            name="kind",
            field=models.CharField(
                choices=[
                    ("customer", "Shopify customer"),
                    ("email", "Email"),
                    ("phone", "Phone"),
                    ("order", "Order"),
                ],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="store",
            name="allow_store_credit",
            field=models.BooleanField(
                default=False,
                help_text="If on, agents can refund to store credit instead of the original payment. First turn on store credit in Shopify; it requires Shopify’s new customer accounts. Orders without a customer are always refunded to the original payment.",
                verbose_name="Allow refunds as store credit",
            ),
        ),
        migrations.AlterField(
            model_name="store",
            name="assume_delivered_after_days",
            field=models.PositiveSmallIntegerField(
                blank=True,
                help_text="For carriers that don't report delivery: count a parcel as delivered this many days after it shipped. Empty: never assume delivery.",
                null=True,
                validators=[django.core.validators.MinValueValidator(1)],
            ),
        ),
        migrations.AlterField(
            model_name="store",
            name="connected_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now,
                help_text="Order events before this time don't send messages.",
            ),
        ),
        migrations.AlterField(
            model_name="store",
            name="country",
            field=models.CharField(
                blank=True,
                help_text="A two-letter code such as DE, used for phone numbers without a country code. Filled in from Shopify.",
                max_length=2,
                validators=[
                    django.core.validators.RegexValidator(
                        "\\A[A-Z]{2}\\Z", "Enter a country code such as DE."
                    )
                ],
            ),
        ),
        migrations.AlterField(
            model_name="store",
            name="domain",
            field=models.CharField(
                help_text="The shop's permanent domain, such as demo.myshopify.com.",
                max_length=100,
                unique=True,
                validators=[
                    django.core.validators.RegexValidator(
                        "\\A[a-z0-9][a-z0-9-]{0,60}\\.myshopify\\.com\\Z"
                    )
                ],
            ),
        ),
        migrations.AlterField(
            model_name="store",
            name="hidden_cancel_reasons",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text='Cancellation reasons to hide from agents, such as ["FRAUD"].',
            ),
        ),
        migrations.AlterField(
            model_name="store",
            name="is_active",
            field=models.BooleanField(
                default=True,
                help_text="If off, its orders disappear from conversations. Nothing is deleted.",
            ),
        ),
        migrations.AlterField(
            model_name="store",
            name="is_frozen",
            field=models.BooleanField(
                default=False,
                help_text="If on, cancellations and refunds wait, and nothing is sent to Shopify.",
                verbose_name="Freeze all actions",
            ),
        ),
        migrations.AlterField(
            model_name="store",
            name="notify_by_default",
            field=models.BooleanField(
                default=True,
                help_text="Whether Shopify's own email to the customer is selected by default in the dialogs.",
            ),
        ),
        migrations.AlterField(
            model_name="store",
            name="order_prefix",
            field=models.CharField(
                blank=True,
                default="#",
                editable=False,
                help_text="Comes before the number in an order’s name. Filled in from Shopify.",
                max_length=50,
            ),
        ),
        migrations.AlterField(
            model_name="store",
            name="order_suffix",
            field=models.CharField(
                blank=True,
                editable=False,
                help_text="Comes after the number in an order’s name. Filled in from Shopify.",
                max_length=50,
            ),
        ),
        migrations.AlterField(
            model_name="store",
            name="time_zone",
            field=models.CharField(
                default="UTC",
                help_text="Arrival dates are shown in this time zone. Filled in from Shopify.",
                max_length=64,
                validators=[orders.models.stores.validate_time_zone],
            ),
        ),
        migrations.AlterField(
            model_name="store",
            name="undo_seconds",
            field=models.PositiveSmallIntegerField(
                default=0,
                help_text="How long a confirmed action waits before it's sent, so that it can be undone. 0: sent right away.",
                validators=[django.core.validators.MaxValueValidator(300)],
            ),
        ),
        migrations.AlterField(
            model_name="store",
            name="uninstalled_at",
            field=models.DateTimeField(
                editable=False, help_text="When Shopify first denied us access for good.", null=True
            ),
        ),
    ]
    operations = [LabelsOnly(state_operations=changes)]
