"""The web server: uvicorn's worker processes on a socket that we open ourselves.

The socket uvicorn opens for `--workers` lacks TCP_NODELAY. A response sent in two writes, headers
and body, then waits for the client's delayed ACK: 40 ms on every kept-alive request.
"""

from __future__ import annotations

import argparse
import socket
from typing import Final

import uvicorn
from uvicorn.supervisors import Multiprocess

from core.server.protocol import BoundedProtocol

# How long a connection may be idle. Proxies reuse idle connections for 60 s by default (nginx, AWS's
# load balancers). If ours were shorter, we would sometimes close one just when the proxy sends a
# request on it, and an agent who confirms a refund would get a 502.
KEEP_ALIVE_S: Final = 75


def listening(host: str, port: int) -> socket.socket:
    """Return a bound socket whose accepted connections send at once. Raises OSError.

    Linux passes TCP_NODELAY on to accepted connections; asyncio also sets it where it recognizes
    TCP.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.bind((host, port))
    made.set_inheritable(True)
    return made


def config(application: str, *, host: str, port: int, workers: int) -> uvicorn.Config:
    """Return uvicorn's configuration; `application` is its import path."""
    return uvicorn.Config(
        application,
        host=host,
        port=port,
        workers=workers,
        # Limits on addresses, headers and slow clients, which uvicorn's own protocol lacks.
        http=BoundedProtocol,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_S,
        # A worker that swaps or compiles for some seconds isn't dead; a killed one loses requests.
        timeout_worker_healthcheck=30,
        # Without it, open event streams would block a shutdown forever.
        timeout_graceful_shutdown=3,
        access_log=False,
        # uvicorn trusts any proxy on this machine; we trust one only if TRUSTED_PROXY is set
        # (core.change_origin).
        proxy_headers=False,
        log_level="warning",
    )


def main() -> None:
    """Serve the application until a signal stops it; several workers are a process each."""
    parser = argparse.ArgumentParser(prog="python -m core.server.web")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--application", default="settings.asgi:application")
    options = parser.parse_args()
    made = config(
        options.application, host=options.host, port=options.port, workers=options.workers
    )
    sockets = [listening(options.host, options.port)]
    if options.workers > 1:
        Multiprocess(made, sockets=sockets).run()
    else:
        uvicorn.Server(made).run(sockets=sockets)


if __name__ == "__main__":
    main()
