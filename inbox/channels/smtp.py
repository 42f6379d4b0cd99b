"""SMTP with a single deadline for a whole mail.

smtplib's timeout applies to each read: a server that sends one byte per second can hold a worker
forever. Here every step of the dialog tells the running deadline (core.http) which socket to cut
off.
"""

from __future__ import annotations

import logging
import smtplib
import socket
from typing import Any

from django.core.mail.backends import smtp

from core import http

logger = logging.getLogger(__name__)

_DEFAULT_TIMEOUT_S = 10.0


class _Watched(smtplib.SMTP):
    def _get_socket(self, host: str, port: int, timeout: float | None) -> socket.socket:
        """Connect as smtplib does, but let all addresses of a host share a single timeout."""
        error: OSError | None = None
        for *_kind, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            left_s = http.left_s(at_most=timeout or _DEFAULT_TIMEOUT_S)
            if left_s <= 0:
                break
            try:
                sock = socket.create_connection(
                    (str(address[0]), int(address[1])), left_s, self.source_address
                )
            except OSError as found:
                error = found
            else:
                http.watch(self, sock)
                return sock
        raise error or TimeoutError("the mail's time is over")

    def send(self, s: Any) -> None:
        http.watch(self, self.sock)
        super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        http.watch(self, self.sock)
        return super().getreply()


class _WatchedOverTLS(smtplib.SMTP_SSL, _Watched):
    pass


class EmailBackend(smtp.EmailBackend):
    """Django's SMTP backend on connections that respect the deadline."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Without EMAIL_TIMEOUT, smtplib would wait forever for each reply.
        self.timeout = self.timeout or _DEFAULT_TIMEOUT_S

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _WatchedOverTLS if self.use_ssl else _Watched

    def close(self) -> None:
        """Ignore errors on QUIT: mail that was accepted has left."""
        connection = self.connection
        try:
            super().close()
        except (smtplib.SMTPException, OSError):
            logger.debug("mail server closed the connection without answering QUIT")
            if connection is not None:
                connection.close()
