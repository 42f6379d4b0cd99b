"""The commands of `./run` that start processes: `python -m core.server COMMAND`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Final

from core.server.private_files import UMASK
from core.server.processes import (
    Trouble,
    demo,
)
from core.server.serve import COMMANDS
from core.server.staging import staging

ALL: Final[dict[str, Callable[[list[str]], None]]] = {"demo": demo, "staging": staging} | COMMANDS


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run the command named in argv; SIGTERM stops it as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _stop)
    # The processes that are started from here inherit it.
    os.umask(UMASK)
    try:
        ALL[sys.argv[1]](sys.argv[2:])
    except KeyboardInterrupt:
        return 0
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
