"""An event stream, read one event at a time over HTTP as a browser would."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.test import Client


@dataclass(frozen=True)
class Heard:
    kind: str
    id: str
    data: dict[str, Any]

    @property
    def topics(self) -> list[str]:
        topics: list[str] = self.data.get("topics", [])
        return topics


class Stream:
    """`heard`: everything so far. Fails after ten seconds without a byte."""

    def __init__(
        self, port: int, *, cookie: str = "", token: str = "", last_id: str = "", **query: str
    ) -> None:
        self.heard: list[Heard] = []
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        headers = {"Last-Event-ID": last_id} if last_id else {}
        if cookie:
            headers["Cookie"] = f"{settings.SESSION_COOKIE_NAME}={cookie}"
        if token:
            headers["Authorization"] = f"Stream {token}"
        self._line.request("GET", f"/events/?{urlencode(query)}", headers=headers)
        self._answer = self._line.getresponse()
        self.status = self._answer.status

    def until(self, wanted: Callable[[Heard], bool]) -> Heard:
        """Read on, up to the first event from now on that is meant."""
        for event in self._events():
            self.heard.append(event)
            if wanted(event):
                return event
        raise AssertionError(f"the stream ended: {self.heard}")

    def beat(self) -> Heard:
        return self.until(lambda event: event.kind == "beat")

    def topic(self, topic: str) -> Heard:
        return self.until(lambda event: topic in event.topics)

    def kind(self, kind: str) -> Heard:
        return self.until(lambda event: event.kind == kind)

    def is_over(self) -> bool:
        """Reads to its end. Fails where it goes on."""
        self.heard += self._events()
        return True

    @property
    def topics(self) -> list[str]:
        return [topic for event in self.heard for topic in event.topics]

    def close(self) -> None:
        self._answer.close()
        self._line.close()

    def _events(self) -> Iterator[Heard]:
        said: dict[str, str] = {}
        while line := self._answer.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                said[name] = value
            elif "data" in said:
                yield Heard(said.get("event", ""), said.get("id", ""), json.loads(said["data"]))
                said = {}
            else:
                said = {}


@contextmanager
def stream(port: int, **how: str) -> Iterator[Stream]:
    found = Stream(port, **how)
    try:
        yield found
    finally:
        found.close()


def cookie_of(client: Client) -> str:
    return client.cookies[settings.SESSION_COOKIE_NAME].value
