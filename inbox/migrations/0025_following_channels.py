"""What has yet to follow: a channel's conversations to its new team, and people who left a team."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("inbox", "0024_team_list_index")]

    operations = [
        migrations.AddField(
            model_name="channel",
            name="moving_since",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="Since when its conversations have been following it to another team. Empty: all of them have.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="team",
            name="members_changed_at",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="Since when conversations of people who left may still be assigned to them. Empty: none are.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="conversation",
            name="was_moved",
            field=models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="Someone moved it to another team than its channel's, so it doesn't follow the channel.",
            ),
        ),
    ]
