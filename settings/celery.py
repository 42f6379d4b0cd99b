"""Celery only makes work start sooner: the rows are the truth, and sweeps find any lost message."""

from __future__ import annotations

from typing import Final

from celery import Celery, signals
from celery.schedules import crontab
from django.conf import settings as django_settings

from core import redis_servers
from core.server import broker_loss
from settings import env

# How far a scheduler's clock may differ from a worker's before the worker discards its messages as
# expired. Matches the leases' tolerance for clock skew (core.database.leases).
CLOCKS_DIFFER_S: Final = 15 * 60
SCHEDULE: Final[dict[str, dict[str, object]]] = {
    "sweep actions": {"task": "orders.tasks.sweep_actions", "schedule": 5.0},
    "end overdue actions": {"task": "orders.tasks.end_overdue_actions", "schedule": 5.0},
    "seal audit": {"task": "orders.tasks.seal_audit", "schedule": 60.0},
    "seal whole audit": {
        "task": "orders.tasks.seal_whole_audit",
        "schedule": crontab(hour=4, minute=41),
    },
    "sweep webhooks": {"task": "shopify_sync.tasks.sweep_webhooks", "schedule": 5.0},
    "sweep dirty orders": {"task": "shopify_sync.tasks.sweep_dirty_orders", "schedule": 2.0},
    "sweep dirty customers": {
        "task": "shopify_sync.tasks.sweep_dirty_customers",
        "schedule": 3.0,
    },
    "advance backfills": {"task": "shopify_sync.tasks.advance_backfills", "schedule": 5.0},
    "complete orders": {"task": "shopify_sync.tasks.complete_orders", "schedule": 60.0},
    "advance comparisons": {
        "task": "shopify_sync.tasks.advance_comparisons",
        "schedule": 15.0,
    },
    "watch stores": {"task": "shopify_sync.tasks.watch_stores", "schedule": 3600.0},
    "compare stores": {
        "task": "shopify_sync.tasks.compare_stores",
        "schedule": crontab(hour=3, minute=17),
    },
    "reconcile stores": {"task": "shopify_sync.tasks.reconcile_stores", "schedule": 300.0},
    "sweep privacy": {"task": "orders.tasks.sweep_privacy", "schedule": 60.0},
    "apply retention": {"task": "orders.tasks.apply_retention", "schedule": 3600.0},
    "sweep outbox": {"task": "inbox.tasks.sweep_outbox", "schedule": 5.0},
    "sweep outgoing webhooks": {
        "task": "inbox.tasks.sweep_outgoing_webhooks",
        "schedule": 5.0,
    },
    "sweep events": {"task": "inbox.tasks.sweep_events", "schedule": 5.0},
    "sweep marketing": {"task": "inbox.tasks.sweep_marketing", "schedule": 15.0},
    "sweep snoozed": {"task": "inbox.tasks.sweep_snoozed", "schedule": 30.0},
    "sweep moves": {"task": "inbox.tasks.sweep_moves", "schedule": 30.0},
    "sweep request notices": {
        "task": "inbox.tasks.sweep_request_notices",
        "schedule": 15.0,
    },
    "sweep report emails": {"task": "inbox.tasks.sweep_report_emails", "schedule": 300.0},
    "keep opt-outs": {"task": "inbox.tasks.keep_opt_outs", "schedule": 60.0},
    "recheck opt-outs": {
        "task": "inbox.tasks.recheck_opt_outs",
        "schedule": crontab(hour=4, minute=11),
    },
    "prune failed logins": {
        "task": "inbox.tasks.prune_failed_log_ins",
        "schedule": crontab(hour=4, minute=23),
    },
    "prune live events": {"task": "inbox.tasks.prune_live_events", "schedule": 300.0},
}
# Longest life of a nightly task's message: after that, the next night's run is closer.
_LONGEST_S: Final = 12 * 3600


def _expiring(schedule: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """Give each periodic message an expiry.

    Messages that piled up while the workers were down are discarded instead of being worked through
    one by one.
    """
    return {
        name: entry | {"options": {"expires": lifetime_s(entry)}}
        for name, entry in schedule.items()
    }


def lifetime_s(entry: dict[str, object]) -> float:
    """Return how long a periodic message stays valid: until the next one, within limits.

    At least CLOCKS_DIFFER_S, so that a slightly wrong clock loses nothing; at most 12 hours.
    """
    every = entry["schedule"]
    period_s = float(every) if isinstance(every, int | float) else _LONGEST_S
    return min(max(period_s, CLOCKS_DIFFER_S), _LONGEST_S)


# A click must not wait 6 s for a broker that is down: its row is already committed.
_NOT_LONG: Final[dict[str, object]] = {
    "max_retries": 1,
    "interval_start": 0.0,
    "interval_step": 0.1,
    "interval_max": 0.1,
}
OF_REDIS: Final[dict[str, object]] = _NOT_LONG | {
    # Longer than any task runs or any message waits (core.queue.LONGEST_DELAY_S), or the same
    # message would go to a second worker while the first is still busy with it. A high value
    # costs nothing when a worker dies: the sweeps find its rows within seconds.
    "visibility_timeout": 900,
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
    "unacked_restore_limit": 100,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
}


def broker(redis_url: str, broker_url: str) -> dict[str, object]:
    """Return the settings for a broker of its own, such as RabbitMQ, or else for Redis."""
    if broker_url:
        return {
            "broker_url": broker_url,
            "broker_connection_timeout": 2,
            "broker_transport_options": _NOT_LONG | {"confirm_publish": True},
            # The pooled connection of a broker that was restarted is found broken only at use.
            "task_publish_retry": True,
            "task_publish_retry_policy": _NOT_LONG,
        }
    if not redis_url:
        return {"broker_transport_options": OF_REDIS}
    found = redis_servers.celery_broker(redis_url)
    return found | {
        "broker_transport_options": OF_REDIS | found.get("broker_transport_options", {})
    }


broker_loss.survive_its_loss()
app = Celery("agent_inbox")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_default_queue="default",
    # Each queue has its own workers (core.server.processes.POOLS): a flood of webhooks, or messages
    # to hosts that never answer, must not hold up an agent's click.
    task_routes={
        "orders.tasks.perform_action": {"queue": "actions"},
        "orders.tasks.sweep_actions": {"queue": "actions"},
        "orders.tasks.end_overdue_actions": {"queue": "actions"},
        "orders.tasks.*": {"queue": "sync"},
        "inbox.tasks.deliver_message": {"queue": "messages"},
        "inbox.tasks.deliver_campaign": {"queue": "messages"},
        "inbox.tasks.deliver_webhook": {"queue": "messages"},
        "inbox.tasks.sweep_outbox": {"queue": "messages"},
        "inbox.tasks.sweep_outgoing_webhooks": {"queue": "messages"},
        "shopify_sync.tasks.*": {"queue": "sync"},
    },
    task_serializer="json",
    accept_content=["json"],
    # These only work with the prefork pool, since threads can't be interrupted. So every task
    # limits itself: loops check the time, calls have a deadline, and long work is split into turns.
    task_soft_time_limit=25,
    task_time_limit=35,
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    worker_soft_shutdown_timeout=3.0,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    # Retry forever: when the broker comes back, no one has to restart the workers.
    broker_connection_max_retries=None,
    # A web request must not wait for a broker that is down: a sweep finds the row.
    task_publish_retry=False,
    beat_schedule=_expiring(SCHEDULE),
)
app.autodiscover_tasks()


@signals.import_modules.connect
def _use_our_broker(**_: object) -> None:
    if django_settings.REDIS_URL or django_settings.BROKER_URL:
        app.conf.update(broker(django_settings.REDIS_URL, django_settings.BROKER_URL))


app.conf.update(broker(env.text("REDIS_URL", ""), env.broker_url()))
