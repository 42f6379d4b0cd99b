"""Files that only our own user can read: databases, logs, keys and mail hold customers' data.

Only collected static files are public: a web server in front, which runs as another user, may read
them.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

UMASK: Final = 0o077
_OTHERS: Final = 0o077
PUBLIC: Final = "static"
# Others may pass through to what they may read, but not list what is there.
_PASSABLE: Final = 0o711
_LISTABLE: Final = 0o755
_READABLE: Final = 0o644


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


def var_folder(folder: Path) -> Path:
    """As private_folder, but other users may pass through it to the static files and read those."""
    private_folder(folder)
    folder.chmod(_PASSABLE)
    public = folder / PUBLIC
    if not public.is_symlink():
        _publish(public, _LISTABLE)
        for path, folders, files in os.walk(public):
            for name in folders:
                _publish(Path(path, name), _LISTABLE)
            for name in files:
                # Compressed copies are written with our umask, whatever Django's settings say.
                _publish(Path(path, name), _READABLE)
    return folder


def _publish(path: Path, mode: int) -> None:
    with contextlib.suppress(OSError):
        if not path.is_symlink() and path.lstat().st_mode & mode != mode:
            path.chmod(mode)


def _restrict(path: Path) -> None:
    with contextlib.suppress(OSError):
        mode = path.lstat().st_mode
        # Of a link, chmod would change what it leads to.
        if mode & _OTHERS and not path.is_symlink():
            path.chmod(mode & 0o7700)
