"""A TCP proxy whose connections can be cut."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Line:
    """What the wire does. `cut_after`: so many bytes of the answer, then a reset; `cut_at`: a reset in place
    of the first request that contains these bytes."""

    cut_after: int | None = None
    cut_at: bytes = b""


class Proxy:
    """Listens on `port` and passes on to `target`, as `line` says at that moment."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.line = Line()
        self.cuts = 0
        self._target = target
        self._open: set[socket.socket] = set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_all(self) -> None:
        """Reset every connection there is now."""
        for end in list(self._open):
            self._reset(end)

    def close(self) -> None:
        self._server.close()
        self.cut_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            server = socket.create_connection(self._target, timeout=10)
            server.settimeout(None)
            self._open |= {client, server}
            back = threading.Thread(target=self._pump, args=(server, client, self._answer))
            back.daemon = True
            back.start()
            self._pump(client, server, self._request)
            back.join()
            self._open -= {client, server}

    def _pump(
        self,
        source: socket.socket,
        sink: socket.socket,
        look: Callable[[bytes], tuple[bytes, bool]],
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                passed, is_cut = look(chunk)
                sink.sendall(passed)
                if is_cut:
                    self.cuts += 1
                    self._reset(source)
                    self._reset(sink)
                    return
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _request(self, chunk: bytes) -> tuple[bytes, bool]:
        cut = bool(self.line.cut_at) and self.line.cut_at in chunk
        if cut:
            self.line.cut_at = b""
        return (b"" if cut else chunk), cut

    def _answer(self, chunk: bytes) -> tuple[bytes, bool]:
        after = self.line.cut_after
        if after is None:
            return chunk, False
        self.line.cut_after = None
        return chunk[:after], True

    def _reset(self, end: socket.socket) -> None:
        with contextlib.suppress(OSError):
            # Linger of zero: a reset instead of an orderly goodbye.
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # close() alone waits for the thread that is reading from it.
            end.shutdown(socket.SHUT_RDWR)
            end.close()
