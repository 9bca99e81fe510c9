"""Files that are written whole or not at all, folders that are ours to write into, and
what may be wrong with the disk."""

import contextlib
import errno
import os
import pathlib
import re

# What a disk, its quota or its rights may have against writing.
_TROUBLES = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG),
)


class TroubleError(OSError):
    """A file could not be written or read; the message says what is left of the work."""


def write(path, text):
    """Writes a text file whole and then renames it, so that it is never half there.

    What UTF-8 cannot say, such as a file name in another encoding, is escaped.
    """
    path = pathlib.Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    os.replace(partial, path)


def trouble(error):
    """A sentence on a file that could not be written or read; None of other errors.

    Args:
        error: exception: an `OSError`, or one of TensorFlow's, which say what the system
            said after the file's name.
    """
    if isinstance(error, TroubleError):
        return str(error)
    if isinstance(error, OSError) and error.errno is not None:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}."
    said = "|".join(re.escape(os.strerror(number)) for number in _TROUBLES)
    found = re.search(rf"(\S+); ({said})", str(error))
    return f"{found[1]}: {found[2]}." if found else None


def check_output_dir(path, mark, flag="output_dir"):
    """Refuses a folder that holds somebody's files.

    Args:
        path: the folder.
        mark: name of a file by which a folder of our own is known.
        flag: that named it.

    Raises:
        ValueError: if the folder holds files, and not that one.
    """
    path = pathlib.Path(path)
    if path.exists() and not (path / mark).exists() and any(path.iterdir()):
        raise ValueError(
            f"--{flag}={path} holds files but no {mark}. Choose another one."
        )
