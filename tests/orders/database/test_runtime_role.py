"""The PostgreSQL role of web servers and workers owns nothing, and needs nothing it doesn't have."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import OperationalError, ProgrammingError, connection, transaction
from django.db.models.signals import post_migrate
from django.test import Client
from django.utils import timezone

from inbox.models import Conversation
from orders import audit, checks
from orders.management import runtime_role
from orders.models import ActionState, AuditEntry, AuditKind, Order, OrderAction
from orders.privacy import retention
from tests.flows.test_main_job import confirm, review
from tests.support.shop.in_process import Shop, work_off

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no roles"),
    pytest.mark.slow,
]
ROLE = "inbox_runtime_test"


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def role() -> Iterator[str]:
    """A role that nobody granted anything."""
    with contextlib.suppress(ProgrammingError):
        execute(f"DROP OWNED BY {ROLE}", f"DROP ROLE {ROLE}")
    execute(f"CREATE ROLE {ROLE} LOGIN")
    yield ROLE
    execute(f"DROP OWNED BY {ROLE}", f"DROP ROLE {ROLE}")


@pytest.fixture
def as_runtime(role: str) -> Iterator[None]:
    """From here on, this thread's connection has only the runtime role's rights."""
    execute(*runtime_role.grants(connection, role), f"SET ROLE {role}")
    yield
    connection.ensure_connection()
    execute("RESET ROLE")


@pytest.fixture
def asked(
    shop: Shop, seen: Callable[[], Order], as_alice: Client, conversation: Conversation
) -> Callable[[], OrderAction]:
    def ask() -> OrderAction:
        shop.place(paid=True)
        order = seen()
        token = review(as_alice, conversation, order, "refund", reason="other", amount="5.00")
        assert confirm(as_alice, conversation, order, token) == 200
        return OrderAction.objects.latest("pk")

    return ask


def test_the_work_of_a_day_needs_no_more(
    shop: Shop, asked: Callable[[], OrderAction], as_runtime: None, alice: User
) -> None:
    """A login, webhooks, a read, a refund to its end, sealing, verifying and retention."""
    assert Client().post("/login/", {"username": "alice", "password": "demo"}).status_code == 302
    action = asked()
    work_off(shop, Client())
    action.refresh_from_db()
    assert action.state == ActionState.SUCCEEDED
    audit.seal_for(10, whole=True)
    call_command("audit_verify")
    retention.apply(now=timezone.now())


STATEMENTS = (
    "UPDATE orders_auditentry SET after = 'x'",
    "DELETE FROM orders_auditentry",
    "DELETE FROM orders_auditseal",
    "DELETE FROM orders_orderaction",
    "TRUNCATE orders_auditentry",
    "TRUNCATE orders_orderaction CASCADE",
    "ALTER TABLE orders_auditentry DISABLE TRIGGER ALL",
    "DROP TRIGGER orders_auditentry_rows ON orders_auditentry",
    "CREATE TRIGGER mine BEFORE INSERT ON orders_auditentry "
    "FOR EACH ROW EXECUTE FUNCTION orders_append_only()",
    "DROP TABLE orders_auditseal",
    "SET session_replication_role = replica",
    "CREATE TABLE mine (id int)",
    "DELETE FROM django_migrations",
)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_what_is_recorded_is_out_of_its_reach(statement: str, as_runtime: None) -> None:
    audit.record(AuditKind.STORE, actor=None)
    with pytest.raises(ProgrammingError) as refused, transaction.atomic():
        execute(statement)
    assert getattr(refused.value.__cause__, "sqlstate", None) == "42501"
    assert AuditEntry.objects.count() == 1


def test_the_owner_could(role: str) -> None:
    """The control: as the role that owns the tables, the triggers are one statement away."""
    audit.record(AuditKind.STORE, actor=None)
    with transaction.atomic():
        execute(
            "ALTER TABLE orders_auditentry DISABLE TRIGGER ALL",
            "UPDATE orders_auditentry SET after = 'x'",
        )
        assert AuditEntry.objects.get().after == "x"
        transaction.set_rollback(True)
    assert checks.records_are_out_of_reach(None, ["default"])[0].id == "orders.W002"


def test_the_check_is_content_with_the_runtime_role(as_runtime: None) -> None:
    assert checks.records_are_out_of_reach(None, ["default"]) == []


@pytest.mark.parametrize(
    ("right", "table"),
    [
        ("UPDATE", "orders_auditentry"),
        ("DELETE", "orders_auditseal"),
        ("TRIGGER", "orders_auditseal"),
        ("DELETE", "orders_orderaction"),
        ("TRUNCATE", "orders_orderaction"),
    ],
)
def test_the_check_names_each_table_within_reach(
    as_runtime: None, role: str, right: str, table: str
) -> None:
    execute("RESET ROLE", f"GRANT {right} ON {table} TO {role}", f"SET ROLE {role}")
    (warning,) = checks.records_are_out_of_reach(None, ["default"])
    assert warning.id == "orders.W002"
    assert table in warning.msg


@pytest.fixture
def owner(role: str, settings: Any) -> Iterator[dict[str, Any]]:
    """The owner's settings. From here on, the connection is one of the runtime role's own."""
    kept = dict(connection.settings_dict)
    settings.MIGRATION_DATABASE = dict(kept)
    connection.close()
    connection.settings_dict.update(USER=role, PASSWORD="")
    yield settings.MIGRATION_DATABASE
    connection.close()
    connection.settings_dict.update(kept)


@pytest.fixture
def during() -> Iterator[list[tuple[str, str]]]:
    """Who was connected while `migrate` ran: the role and the name of its application."""
    seen: list[tuple[str, str]] = []

    def look(**_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user, current_setting('application_name')")
            seen.append(cursor.fetchone())

    post_migrate.connect(look, sender=apps.get_app_config("orders"))
    yield seen
    post_migrate.disconnect(look, sender=apps.get_app_config("orders"))


def test_migrate_runs_as_the_owner_and_grants_the_rest(
    role: str, owner: dict[str, Any], during: list[tuple[str, str]]
) -> None:
    assert not _may_read()
    call_command("migrate", verbosity=0)
    assert ([user for user, _ in during], _user()) == ([owner["USER"]], role)
    assert _may_read()
    # A table that a later version adds is covered by running it again.
    assert checks.records_are_out_of_reach(None, ["default"]) == []


def test_migrate_connects_as_the_owners_url_says(
    owner: dict[str, Any], during: list[tuple[str, str]]
) -> None:
    """The servers' way may lead through a pooler, which the owner's doesn't."""
    owner["OPTIONS"] = {**owner["OPTIONS"], "application_name": "migrating"}
    pooler = {"HOST": "127.0.0.1", "PORT": 1, "NAME": "pooled"}
    connection.settings_dict.update(pooler)
    with pytest.raises(OperationalError):
        _may_read()
    call_command("migrate", verbosity=0)
    assert during == [(owner["USER"], "migrating")]
    assert pooler.items() <= connection.settings_dict.items()
    assert "application_name" not in connection.settings_dict["OPTIONS"]


@pytest.mark.parametrize("question", ["plan", "check_unapplied"])
def test_a_question_changes_no_rights(owner: dict[str, Any], question: str) -> None:
    call_command("migrate", verbosity=0, stdout=StringIO(), **{question: True})
    assert not _may_read()


def test_rights_change_together_or_not_at_all(
    owner: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers that are running must not find themselves without rights."""
    call_command("migrate", verbosity=0)
    grants = runtime_role.grants

    def interrupted(*args: Any) -> list[str]:
        found = grants(*args)
        revoked = next(n for n, statement in enumerate(found) if "REVOKE ALL" in statement)
        return [*found[: revoked + 1], "GRANT SELECT ON gone TO PUBLIC"]

    monkeypatch.setattr(runtime_role, "grants", interrupted)
    with pytest.raises(ProgrammingError, match="gone"):
        call_command("migrate", verbosity=0)
    assert _may_read()


def test_an_owner_of_another_kind_of_database_is_refused(owner: dict[str, Any]) -> None:
    owner["ENGINE"] = "django.db.backends.sqlite3"
    with pytest.raises(CommandError, match="postgres://"):
        call_command("migrate", verbosity=0)


def _may_read() -> bool:
    try:
        AuditEntry.objects.exists()
    except ProgrammingError:
        return False
    return True


def _user() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        return str(cursor.fetchone()[0])
