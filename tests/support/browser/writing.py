"""A customer who writes to the demo through the channel API, as a messenger does."""

from __future__ import annotations

import json
import urllib.request
from datetime import UTC, datetime

from tests.support.browser.demo import Demo


def write_to(demo: Demo, who: str, *texts: str) -> int:
    """Each text as a message of one conversation of this person; the conversation's id."""
    keys = json.loads((demo.folder / "demo" / "keys.json").read_text())
    channel = next(row for row in keys["channels"] if row["verifies"])
    key = who.lower().replace(" ", "-")
    found = 0
    for text in texts:
        now = datetime.now(UTC)
        body = {
            "external_id": f"{key}-{now.timestamp()}",
            "conversation": key,
            "sender": {"external_id": key, "name": who, "email": f"{key}@example.com"},
            "text": text,
            "sent_at": now.isoformat(),
        }
        request = urllib.request.Request(
            f"{demo.url}/api/v1/channels/{channel['id']}/messages/",
            json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {channel['key']}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request) as answer:
            found = int(json.load(answer)["conversation_id"])
    return found
