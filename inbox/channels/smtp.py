"""SMTP with one deadline for a whole mail.

smtplib's time-out is one of each read: a server that sends a letter a second holds a worker for
as long as it likes. Here every step of the conversation tells the running deadline
(core.http) which socket to cut off.
"""

from __future__ import annotations

import logging
import smtplib
import socket
from typing import Any

from django.core.mail.backends import smtp

from core import http

logger = logging.getLogger(__name__)

_PATIENCE_S = 10.0


class _Watched(smtplib.SMTP):
    def _get_socket(self, host: str, port: int, timeout: float | None) -> Any:
        """As smtplib does it, but all addresses of a host together have the time of one."""
        error: OSError | None = None
        for *_kind, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            left_s = http.left_s(at_most=timeout or _PATIENCE_S)
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
    def __init__(self, *words: Any, **more: Any) -> None:
        super().__init__(*words, **more)
        # Without EMAIL_TIMEOUT, smtplib would wait for ever for each reply.
        self.timeout = self.timeout or _PATIENCE_S

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _WatchedOverTLS if self.use_ssl else _Watched

    def close(self) -> None:
        """A mail that was taken has left, however its server says goodbye."""
        connection = self.connection
        try:
            super().close()
        except (smtplib.SMTPException, OSError):
            logger.debug("a mail server did not say goodbye")
            if connection is not None:
                connection.close()
