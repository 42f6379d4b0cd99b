"""Search by parts of customers' names, and by tracking numbers in any case and spacing."""

import django.db.models.functions.text
from django.db import migrations, models

from core.database.index_migrations import (
    AddIndexWhileInUse,
    AddTrigramIndex,
    CreateTrigrams,
    RemoveIndexWhileInUse,
)


class Migration(migrations.Migration):
    # CREATE INDEX CONCURRENTLY refuses to run in a transaction.
    atomic = False

    dependencies = [("orders", "0029_growing_tables")]

    operations = [
        CreateTrigrams(),
        AddTrigramIndex("orders_customer_name_trgm", "orders_customer", "upper(name)"),
        AddIndexWhileInUse(
            model_name="ordertracking",
            index=models.Index(
                django.db.models.functions.text.Upper(
                    django.db.models.functions.text.Replace(
                        django.db.models.functions.text.Replace(
                            models.F("number"), models.Value(" "), models.Value("")
                        ),
                        models.Value("-"),
                        models.Value(""),
                    )
                ),
                name="orders_by_tracking_key",
            ),
        ),
        RemoveIndexWhileInUse(model_name="ordertracking", name="orders_by_tracking_number"),
    ]
