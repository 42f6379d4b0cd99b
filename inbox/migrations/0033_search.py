"""Search by parts of names and addresses."""

from django.db import migrations

from core.database.index_migrations import AddTrigramIndex, CreateTrigrams


class Migration(migrations.Migration):
    # CREATE INDEX CONCURRENTLY refuses to run in a transaction.
    atomic = False

    dependencies = [("inbox", "0032_growing_tables")]

    operations = [
        CreateTrigrams(),
        AddTrigramIndex("inbox_contact_name_trgm", "inbox_contact", "upper(name)"),
        AddTrigramIndex(
            "inbox_identity_value_trgm",
            "inbox_identity",
            "upper(value)",
            where="removed_at IS NULL AND kind IN ('email', 'phone')",
        ),
        AddTrigramIndex(
            "inbox_claim_value_trgm", "inbox_claim", "upper(value)", where="is_understood"
        ),
    ]
