"""A private RabbitMQ, gone with the run."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.support.servers.postgres_and_redis import NotInstalled, free_port

# Debian's command of that name insists on the user that the packaged service runs as.
_BINARY = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class RabbitMq:
    """Can be killed, and started again on the same port with what it had stored."""

    def __init__(self, folder: Path) -> None:
        found = _BINARY if _BINARY.exists() else shutil.which("rabbitmq-server")
        if found is None:
            raise NotInstalled("RabbitMQ is not installed: apt-get install rabbitmq-server")
        self._binary, self._folder, self.port = str(found), folder, free_port()
        self._names = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        own = {
            "HOME": str(self._folder),
            "ERL_EPMD_PORT": str(self._names),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_NODENAME": "inbox-test@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder / "logs"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
        }
        with (self._folder / "rabbitmq.out").open("ab") as out:
            self._process = subprocess.Popen(
                [self._binary],
                env=os.environ | own,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        until = time.monotonic() + 300
        while time.monotonic() < until and self._process.poll() is None:
            if self._answers():
                return
            time.sleep(0.2)
        raise NotInstalled(f"RabbitMQ did not start: {(self._folder / 'rabbitmq.out').read_text()}")

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as line:
                line.sendall(b"AMQP\x00\x00\x09\x01")
                return line.recv(1) == b"\x01"
        except OSError:
            return False

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            # The script that was started, and Erlang's processes.
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        self.kill()
        names = shutil.which("epmd")
        if names:
            stop = [names, "-port", str(self._names), "-kill"]
            subprocess.run(stop, capture_output=True, check=False)
