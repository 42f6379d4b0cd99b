"""Simulated customers who push messages through the channel API, some of them twice."""

from __future__ import annotations

import threading
import time
from random import Random

import urllib3

from tests.browser.two_agents.verdict import Intent
from tests.browser.two_agents.world import World

CONVERSATIONS = 5


class Customer:
    """Writes until it is stopped. `intents` fill as messages are acknowledged."""

    def __init__(self, world: World, rng: Random) -> None:
        self._world, self._rng = world, rng
        self._pool = urllib3.PoolManager(
            retries=False, timeout=urllib3.Timeout(connect=3, read=10), maxsize=4
        )
        self._number = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.intents: list[Intent] = []
        self.tries = 0
        self._thread = threading.Thread(target=self._live, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def write(self, number: int) -> int:
        """One message in the conversation with this number, pushed until it is taken; returns our
        id of the conversation."""
        with self._lock:
            self._number += 1
            token = f"q{self._number:05d}"
        body: dict[str, object] = {
            "external_id": token,
            "conversation": f"c-{number}",
            "sender": {
                "external_id": f"u-{number}",
                "name": f"Customer {number}",
                "email": f"customer{number}@example.com",
            },
            "text": f"Question {token} from customer {number}",
        }
        # An answer that is lost on the way is a message pushed twice, here at once.
        twins = 2 if self._rng.random() < 0.1 else 1
        answers: list[int] = []
        threads = [
            threading.Thread(target=lambda: answers.append(self._push(body)))
            for _twin in range(twins)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        [conversation] = set(answers)
        self.intents.append(Intent(token, "inbound", conversation, "customer"))
        return conversation

    def _push(self, body: dict[str, object]) -> int:
        address = f"{self._world.url}/api/v1/channels/{self._world.channel}/messages/"
        headers = {"Authorization": f"Bearer {self._world.key}"}
        for _try in range(20):
            self.tries += 1
            try:
                answer = self._pool.request("POST", address, json=body, headers=headers)
            except urllib3.exceptions.HTTPError:
                time.sleep(0.5)
                continue
            if answer.status in {200, 201}:
                return int(answer.json()["conversation_id"])
            time.sleep(0.5)
        raise RuntimeError(f"{body['external_id']} was never taken: {answer.status}")

    def _live(self) -> None:
        while not self._over.is_set():
            self.write(self._rng.randrange(CONVERSATIONS))
            self._over.wait(self._rng.uniform(0.6, 2.4))
