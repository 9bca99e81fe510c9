"""Files of weights: fetched once, and known by their digest."""

import contextlib
import fcntl
import functools
import hashlib
import os
import pathlib

import keras

from pan_tf import printing


class WeightsNotFoundError(Exception):
    """Weights that a network needs are not on disk, and could not be fetched."""


def fetched(name, url, folder, **options):
    """Path of a file that Keras downloads once, one process at a time.

    Keras writes it under its final name: another process would take a half one.

    Args:
        name: of the file.
        url: where it is downloaded from.
        folder: in Keras' own, where it is kept.
        **options: of `keras.utils.get_file`.
    """
    with _alone(), printing.for_terminals():
        return pathlib.Path(
            keras.utils.get_file(name, url, cache_subdir=folder, **options)
        )


@contextlib.contextmanager
def _alone():
    """Lets one process of this user in at a time, where the file system has locks."""
    folder = pathlib.Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    with contextlib.ExitStack() as stack:
        # Without a lock it goes on: two may meet, and the checksum tells.
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(open(folder / "pan_tf.lock", "a"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def digest(path):
    """sha256 of a file, computed again only if it has changed."""
    path = pathlib.Path(os.path.realpath(path))  # `resolve` bears no links in a circle.
    status = path.stat()
    return _sha256(path, (status.st_mtime_ns, status.st_size, status.st_ino))


@functools.lru_cache
def _sha256(path, state):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
