"""Conversations that were moved by hand before there was a column for it."""

from django.db import migrations


def mark_moved(apps, schema_editor):
    """Where a conversation's team isn't its channel's, someone moved it."""
    Conversation = apps.get_model("inbox", "Conversation")
    Channel = apps.get_model("inbox", "Channel")
    with_team = Conversation.objects.filter(team__isnull=False)
    for channel in Channel.objects.all():
        elsewhere = with_team.filter(channel=channel)
        if channel.team_id is not None:
            elsewhere = elsewhere.exclude(team=channel.team_id)
        elsewhere.update(was_moved=True)


class Migration(migrations.Migration):
    dependencies = [("inbox", "0025_following_channels")]

    operations = [migrations.RunPython(mark_moved, migrations.RunPython.noop)]
