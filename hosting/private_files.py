"""Keeps what Railmend writes on a machine from its other users."""

import os
import stat
from pathlib import Path

from railmend.settings import ConfigurationError, Settings

OTHERS = stat.S_IRWXG | stat.S_IRWXO
# The users of repairs walk through, where they are users of this machine; they list nothing.
WALKED = stat.S_IXGRP | stat.S_IXOTH


def keep_private(settings: Settings) -> None:
    """Close the state folder, and what lies directly in it, to other users; new files are closed from now on.

    Raise `ConfigurationError` when it belongs to somebody else.
    """
    os.umask(OTHERS)
    folder = settings.state_dir()
    folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    walked = settings.railmend_sandbox == "user"
    _close(folder, walked=walked)
    for child in folder.iterdir():
        if not child.is_symlink():
            _close(child, walked=walked and child.name == "repairs")


def _close(path: Path, *, walked: bool) -> None:
    status = path.stat()
    wanted = stat.S_IMODE(status.st_mode) & ~OTHERS | (WALKED if walked else 0)
    if stat.S_IMODE(status.st_mode) == wanted:
        return
    try:
        path.chmod(wanted)
    except PermissionError as error:
        raise ConfigurationError(
            f"Other users can read {path}, and it belongs to user {status.st_uid}: give it to the worker's "
            "own user (chown), or choose another RAILMEND_STATE_DIR."
        ) from error
