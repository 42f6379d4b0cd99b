"""Celery: a bell. The truth is in rows, and a sweep finds what the bell lost."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, signals
from celery.schedules import crontab
from django.conf import settings as django_settings

from settings import broker, env

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.dev")

broker.survive_its_loss()
app = Celery("agent_inbox")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_default_queue="default",
    # Money first: a flood of webhooks or messages must not stand before an agent's click.
    task_routes={
        "shopify_sync.tasks.perform_action": {"queue": "actions"},
        "shopify_sync.tasks.sweep_actions": {"queue": "actions"},
        "shopify_sync.tasks.*": {"queue": "sync"},
    },
    task_serializer="json",
    accept_content=["json"],
    task_soft_time_limit=25,
    task_time_limit=35,
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    worker_soft_shutdown_timeout=3.0,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        # Longer than the longest task; the restore options give a killed worker's tasks back
        # within seconds instead of minutes.
        "visibility_timeout": 120,
        "unacked_restore_interval": 2,
        "unacked_restore_throttle": 1,
        "unacked_restore_limit": 100,
        # A click must not wait 6 s for a broker that is down: its row is there already.
        "max_retries": 1,
        "interval_start": 0.0,
        "interval_step": 0.1,
        "interval_max": 0.1,
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
    },
    # A web request must not wait for a broker that is down: the sweep finds the row.
    task_publish_retry=False,
    beat_schedule={
        "sweep actions": {"task": "shopify_sync.tasks.sweep_actions", "schedule": 5.0},
        "seal audit": {"task": "shopify_sync.tasks.seal_audit", "schedule": 60.0},
        "sweep webhooks": {"task": "shopify_sync.tasks.sweep_webhooks", "schedule": 5.0},
        "sweep dirty orders": {"task": "shopify_sync.tasks.sweep_dirty_orders", "schedule": 2.0},
        "sweep dirty customers": {
            "task": "shopify_sync.tasks.sweep_dirty_customers",
            "schedule": 3.0,
        },
        "advance backfills": {"task": "shopify_sync.tasks.advance_backfills", "schedule": 5.0},
        "complete orders": {"task": "shopify_sync.tasks.complete_orders", "schedule": 60.0},
        "watch stores": {"task": "shopify_sync.tasks.watch_stores", "schedule": 3600.0},
        "compare stores": {
            "task": "shopify_sync.tasks.compare_stores",
            "schedule": crontab(hour=3, minute=17),
        },
        "reconcile stores": {"task": "shopify_sync.tasks.reconcile_stores", "schedule": 300.0},
        "sweep privacy": {"task": "shopify_sync.tasks.sweep_privacy", "schedule": 60.0},
        "apply retention": {"task": "shopify_sync.tasks.apply_retention", "schedule": 3600.0},
        "sweep outbox": {"task": "inbox.tasks.sweep_outbox", "schedule": 5.0},
        "sweep events": {"task": "inbox.tasks.sweep_events", "schedule": 5.0},
        "sweep marketing": {"task": "inbox.tasks.sweep_marketing", "schedule": 15.0},
        "sweep snoozed": {"task": "inbox.tasks.sweep_snoozed", "schedule": 30.0},
    },
)
app.autodiscover_tasks()


@signals.import_modules.connect
def _use_our_broker(**_: Any) -> None:
    if django_settings.REDIS_URL:
        app.conf.update(broker_url=broker_url(django_settings.REDIS_URL))


def broker_url(redis_url: str) -> str:
    """redis-py's name for a socket, unix://, is redis+socket:// to Celery."""
    return redis_url.replace("unix://", "redis+socket://", 1)


if redis_url := env.text("REDIS_URL", ""):
    app.conf.update(broker_url=broker_url(redis_url))
