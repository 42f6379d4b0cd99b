"""Six attackers, a process of their own: `python -m tests.attack.attackers PORT SECONDS RATE KEY`.

Four send every hostile request in turn; one holds 40 slow bodies and 40 endless headers open; one
uploads far too much, sends the largest bodies that are taken, many at once, and reads no response.
At the end they print how often which status came.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections import Counter

from tests.attack.client import Line, request

CROWD = 40
# The most that the server takes with a cookie; Django, which says so, isn't set up here.
MOST = 2 * 2**20
# Each holds a thread for a moment: more than there are, and fewer than would merely measure the CPU.
LARGEST_AT_ONCE = 20
_LOST = (OSError, EOFError, asyncio.LimitOverrunError, ValueError, TimeoutError)
_FORM = {"Content_Type": "application/x-www-form-urlencoded"}


def largest() -> bytes:
    """The largest body that the server takes from a browser; any cookie will do."""
    return request("POST", "/login/", b"x=" + b"a" * (MOST - 2), Cookie="a=b", **_FORM)


def hostile(key: str) -> list[bytes]:
    """Every hostile request; `key` is a channel's key that fell into the wrong hands."""
    api = {"Content_Type": "application/json", "Authorization": f"Bearer {key.partition(':')[2]}"}
    push = f"/api/v1/channels/{key.partition(':')[0]}/messages/"
    deep = [b"[" * 100_000, b'{"a":' * 500 + b"1" + b"}" * 500]
    texts = [b'{"\\ud800": 1}', b'{"external_id": "\\u0000"}', b"9" * 5_000, b"\xff\xfe", b"NaN"]
    long = ["a" * 7_000, "a." * 3_500, "a%40" * 1_700, "%22hmac=" * 800, "a/" * 3_500]
    return [
        *(request("GET", f"/{text}") for text in long),
        *(request("GET", f"/login/?next={text}") for text in long),
        *(request("GET", f"/admin/{text}") for text in long),
        request("GET", "/" + "a" * 30_000),
        request("GET", "/?q=" + "a" * 10**6),
        request("GET", "/", Cookie="a" * 30_000),
        request("GET", "/", Cookie="; ".join(f"a{n}=b" for n in range(3_000))),
        request("GET", "/", X_Long="a" * 100_000),
        request("GET", "/", b"", **{f"X_{n}": "b" for n in range(500)}),
        request("GET", "/", User_Agent="a@" * 10_000, Referer="https://x/" + "a@a." * 2_000),
        request("GET", "/a%00b"),
        request("GET", "/login/?next=%00"),
        request("GET", "/events/?after=" + "9" * 5_000),
        request("GET", "/unsubscribe/" + "a" * 7_000 + "/"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        *(request("POST", "/login/", b"username=" + b"a" * 60_000, **_FORM) for _ in range(2)),
        request("POST", "/login/", b"&".join(b"a%d=1" % n for n in range(6_000)), **_FORM),
        request("POST", "/login/", b"username=a%00b&password=x", **_FORM),
        largest(),
        *(request("POST", push, body, **api) for body in (*deep, *texts)),
        *(request("POST", "/webhooks/shopify/", body) for body in (*deep, *texts)),
        request("POST", "/webhooks/shopify/", b"{}", X_Shopify_Hmac_Sha256="\u00e4" * 100),
    ]


class Attack:
    """The time that is left, the pace, and what came back."""

    def __init__(self, port: int, seconds: float, rate: float) -> None:
        self.port, self.until, self.pause_s = port, time.monotonic() + seconds, 1 / rate
        self.came: Counter[str] = Counter()

    @property
    def is_on(self) -> bool:
        return time.monotonic() < self.until

    async def one(self, text: bytes) -> None:
        """Send one hostile request, and note the status."""
        async with Line(self.port) as line:
            try:
                async with asyncio.timeout(10):
                    self.came[str(await line.ask(text))] += 1
            except _LOST as error:
                self.came[type(error).__name__] += 1

    async def in_turn(self, texts: list[bytes], first: int) -> None:
        """Send every hostile request, again and again, beginning with another one than others."""
        at = first
        while self.is_on:
            await self.one(texts[at % len(texts)])
            at += 1
            await asyncio.sleep(self.pause_s)

    async def hold(self) -> None:
        """Keep a crowd of requests open that never get finished."""
        slow = request("POST", "/login/", b"x" * 1_000, **_FORM)[:-990]
        endless = b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b"
        await asyncio.gather(
            *(self._drip(text, piece) for text, piece in ((slow, b"x"), (endless, b"b")) * CROWD)
        )

    async def _drip(self, text: bytes, piece: bytes) -> None:
        while self.is_on:
            async with Line(self.port) as line:
                with contextlib.suppress(*_LOST):
                    await line.send(text)
                    while self.is_on:
                        await asyncio.sleep(1)
                        await line.send(piece)
            self.came["held open"] += 1
            await asyncio.sleep(0.1)

    async def flood(self) -> None:
        """Ask for large files without reading them; then upload 300 MB, and the largest bodies."""
        large = (
            b"GET /static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js HTTP/1.1\r\n"
        )
        unread = [Line(self.port) for _ in range(CROWD)]
        for line in unread:
            with contextlib.suppress(*_LOST):
                await line.send(large + b"Host: 127.0.0.1\r\nX-Forwarded-Proto: https\r\n\r\n")
        while self.is_on:
            async with Line(self.port) as line:
                with contextlib.suppress(*_LOST):
                    head = "Content-Length: 314572800\r\nCookie: __Host-sessionid=x"
                    await line.send(
                        f"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n\r\n".encode()
                    )
                    for _ in range(300):
                        async with asyncio.timeout(5):
                            await line.send(b"x" * 2**20)
            self.came["uploads"] += 1
            await asyncio.gather(*(self.one(largest()) for _ in range(LARGEST_AT_ONCE)))
            await asyncio.sleep(1)
        for line in unread:
            line.close()


async def attack(port: int, seconds: float, rate: float, key: str) -> Counter[str]:
    """Run the six until the time is over."""
    attack = Attack(port, seconds, rate)
    texts = hostile(key)
    await asyncio.gather(
        *(attack.in_turn(texts, n * len(texts) // 4) for n in range(4)),
        attack.hold(),
        attack.flood(),
    )
    return attack.came


def main() -> None:
    port, seconds, rate, key = sys.argv[1:]
    print(json.dumps(asyncio.run(attack(int(port), float(seconds), float(rate), key))))


if __name__ == "__main__":
    main()
