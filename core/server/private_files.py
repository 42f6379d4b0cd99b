"""Files that only our own user can read: databases, logs, keys and mail hold customers' data."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

UMASK: Final = 0o077
_OTHERS: Final = 0o077
# Collected static files hold nothing private, and a web server in front may read them.
PUBLIC: Final = "static"


def private_folder(folder: Path) -> Path:
    """Create the folder if needed, take away other users' rights to all that is in it, and return it.

    Also what an earlier version left readable. Files of other users stay as they are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _restrict(folder)
    for path, folders, files in os.walk(folder):
        if PUBLIC in folders and Path(path) == folder:
            folders.remove(PUBLIC)
        for name in (*folders, *files):
            _restrict(Path(path, name))
    return folder


def _restrict(path: Path) -> None:
    with contextlib.suppress(OSError):
        mode = path.lstat().st_mode
        # Of a link, chmod would change what it leads to.
        if mode & _OTHERS and not path.is_symlink():
            path.chmod(mode & 0o7700)
