"""Tokens of the REST framework, which were stored readable, become our own, hashed.

They keep working: with all rights, as before, and for 90 days from now.
"""

import hashlib
from datetime import timedelta

from django.db import migrations
from django.utils import timezone


def hash_tokens(apps, schema_editor):
    connection = schema_editor.connection
    # Its app isn't installed anymore, so there is no model; in a new database, no table either.
    if "authtoken_token" not in connection.introspection.table_names():
        return
    token_model = apps.get_model("inbox", "ApiToken")
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.key, t.user_id, u.is_active"
            " FROM authtoken_token AS t JOIN auth_user AS u ON u.id = t.user_id"
        )
        rows = cursor.fetchall()
        token_model.objects.bulk_create(
            token_model(
                owner_id=user_id,
                name="From before tokens expired",
                scope="act",
                digest=hashlib.sha256(key.encode()).hexdigest(),
                hint=key[:4],
                created_at=now,
                expires_at=now + timedelta(days=90),
                revoked_at=None if is_active else now,
            )
            for key, user_id, is_active in rows
        )
        # The empty table stays: a server of the earlier version may still be running.
        cursor.execute("DELETE FROM authtoken_token")


class Migration(migrations.Migration):
    dependencies = [("inbox", "0022_api_tokens")]

    operations = [migrations.RunPython(hash_tokens, migrations.RunPython.noop, elidable=False)]
