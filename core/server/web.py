"""The web server: uvicorn's processes on a socket of our own.

uvicorn's own `--workers` socket lacks TCP_NODELAY: an answer of two sends, headers and body,
then waits for the client's delayed ACK, 40 ms on every kept-alive request.
"""

from __future__ import annotations

import argparse
import socket

import uvicorn
from uvicorn.supervisors import Multiprocess


def listening(host: str, port: int) -> socket.socket:
    """A socket whose accepted connections send at once. Raises OSError.

    Linux hands the option on to them; asyncio sets it too where it sees that it is TCP.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.bind((host, port))
    made.set_inheritable(True)
    return made


def config(application: str, *, host: str, port: int, workers: int) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        host=host,
        port=port,
        workers=workers,
        # Open event streams would hold up the end for ever without it.
        timeout_graceful_shutdown=3,
        access_log=False,
        # What a proxy says counts where TRUSTED_PROXY says so (core.request_id), not because
        # the peer is this machine.
        proxy_headers=False,
        log_level="warning",
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m core.server.web")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--application", default="settings.asgi:application")
    words = parser.parse_args()
    made = config(words.application, host=words.host, port=words.port, workers=words.workers)
    sockets = [listening(words.host, words.port)]
    if words.workers > 1:
        Multiprocess(made, sockets=sockets).run()
    else:
        uvicorn.Server(made).run(sockets=sockets)


if __name__ == "__main__":
    main()
