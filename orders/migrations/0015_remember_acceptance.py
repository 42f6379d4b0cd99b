"""What was under way before an action remembered what it sent and had accepted."""

from datetime import timedelta

from django.db import migrations
from django.db.models import F, Q

_UNSENT = ["queued", "blocked", "sending"]
_SENT = ["queued", "sending", "pending", "unknown", "blocked", "needs_human"]
_SEND_WITHIN = timedelta(hours=24)


def remember(apps, schema_editor):
    """An accepted cancellation must not be sent again, and the refusal of that then be believed;
    and without their times no deadline is ever reached."""
    actions = apps.get_model("orders", "OrderAction").objects
    # Since 0012 both times are written together.
    before = actions.filter(
        state__in=_SENT, step_first_sent_at__isnull=False, step_last_sent_at=None
    )
    for action in before:
        action.step_last_sent_at = action.step_first_sent_at
        if action.maybe_applied:
            _believe(action)
        action.save(update_fields=["step_last_sent_at", "accepted_steps", "is_doubtful"])
    unsent = actions.filter(state__in=_UNSENT, maybe_applied=False)
    latest = F("requested_at") + _SEND_WITHIN
    unsent.filter(Q(expires_at=None) | Q(expires_at__lt=latest)).update(expires_at=latest)


def _believe(action):
    step = action.step
    accepted = step
    if not action.is_doubtful:
        if step == 0 or (action.job_gid and action.steps[step]["goal"] == "cancel_order"):
            accepted = step + 1
        else:
            # Accepted, or put back after a wait: which of the two was not written down.
            action.is_doubtful = True
    action.accepted_steps = max(action.accepted_steps, accepted)


class Migration(migrations.Migration):
    dependencies = [("orders", "0014_money_by_transaction")]

    operations = [migrations.RunPython(remember, migrations.RunPython.noop)]
