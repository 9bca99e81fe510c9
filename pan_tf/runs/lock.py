"""One training at a time in a run folder.

Two would overwrite each other's checkpoints, and the next start would take whichever is
left. The lock is the operating system's: it ends with the process that holds it, however
that ends, so that none is ever left behind; on NFS other machines see it as well.
"""

import contextlib
import datetime
import errno
import fcntl
import os
import pathlib
import socket
import time

from absl import logging

# Kept when the lock is given back: to delete it would let two hold a lock each.
NAME = ".lock"
_TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


class HeldError(Exception):
    """Somebody else holds the lock; the message says who."""


@contextlib.contextmanager
def hold(folder):
    """Context in which this process alone has a folder.

    Args:
        folder: of the lock's file; it must exist.

    Yields:
        None, or a sentence on why the file system cannot lock, also logged.

    Raises:
        HeldError: if another process has it, here or on another machine.
    """
    path = pathlib.Path(folder) / NAME
    with open(path, "a+", encoding="utf-8") as file:
        problem = _taken(file, path, seconds=1.0)
        if problem:
            logging.warning("*** %s ***", problem)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {now}")
        file.flush()
        yield problem


def check_free(folder):
    """Raises `HeldError` if another process has the folder; makes nothing."""
    path = pathlib.Path(folder) / NAME
    # What else may be wrong with the place is said where it is made.
    absent = FileNotFoundError, NotADirectoryError, PermissionError
    with contextlib.suppress(*absent), open(path, encoding="utf-8") as file:
        _taken(file, path, shared=True)


def _taken(file, path, shared=False, seconds=0.0):
    """Takes the lock until the file is closed; a sentence where there are no locks.

    Who only looks shares it for a moment: it is asked for again until then.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    deadline = time.monotonic() + seconds
    while True:
        try:
            return fcntl.flock(file, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _TAKEN:
                return (
                    f"{path.parent} cannot be locked ({error.strerror}): nothing keeps a "
                    "second training out of it."
                )
        if time.monotonic() >= deadline:
            raise HeldError(path.read_text(encoding="utf-8") or "another process")
        time.sleep(0.05)
