"""Files that are written whole or not at all, and what a disk may have against that."""

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import re
import shutil
import time
import uuid

from pan_tf import paths

# What a disk, its quota, its rights, or what lies there may have against writing.
_TROUBLES = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG),
    *(errno.EISDIR, errno.ENOTDIR, errno.EEXIST),
)
# Those whose words nobody else would use.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
# How TensorFlow tells dnnl_out_of_memory, as an AbortedError.
_ONEDNN_OUT_OF_MEMORY = "Status: 1, message:"
_BATCH_OUT_OF_MEMORY = "Failed to allocate memory for the batch"  # tf.data's.
_PARTIAL = ".partial-"  # How names of files that are being written begin.
_LONGEST = 255  # Bytes of a file's name, on most file systems.


class TroubleError(OSError):
    """A file could not be written or read; the message says what is left of the work."""


class UnusableFilesError(ValueError):
    """Images that cannot be used; the message names their files.

    What UTF-8 cannot say is escaped: a graph would lose the message.
    """

    def __init__(self, said):
        super().__init__(said.encode("utf-8", "backslashreplace").decode("utf-8"))


@contextlib.contextmanager
def whole(path):
    """Context that yields where to write a file; at its end it gets its name.

    After an error nothing is left, and a file of that name stays what it was.
    """
    path = pathlib.Path(path)
    # Another process may write the same; containers have the same process numbers. The
    # ending stays: by it some writers know the format.
    mark = f"{_PARTIAL}{uuid.uuid4().hex[:12]}-"
    partial = path.with_name(f"{mark}{path.name}")
    if len(name := os.fsencode(path.name)) > _LONGEST - len(mark):
        short = hashlib.sha256(name).hexdigest()[:16]
        partial = path.with_name(f"{mark}{short}{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        if error.filename is None:  # A full disk is told when a file is closed.
            error.filename = os.fspath(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def reserve(path, size):
    """Takes room for a file that a library will write; OSError if there is none.

    On a full disk HDF5 prints a traceback for everything that it has open.
    """
    if hasattr(os, "posix_fallocate"):
        with open(path, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)


def partial(folder, name):
    """Where in a folder to put what is gathered there for a while: no obstacle later."""
    return pathlib.Path(folder) / f"{_PARTIAL}{name}"


def remove_stale(folders, seconds):
    """Deletes folders that a killed command has left: nothing in them is younger."""
    for left in folders:
        # Its owner may rename or delete it, or what is in it, meanwhile.
        with contextlib.suppress(FileNotFoundError):
            newest = max(path.stat().st_mtime for path in (left, *left.rglob("*")))
            if time.time() - newest > seconds:
                shutil.rmtree(left, ignore_errors=True)


def is_partial(name):
    """Whether a name is that of a file that is, or was, being written."""
    return name.startswith(_PARTIAL)


def write(path, text):
    """Writes a text file whole or not at all.

    What UTF-8 cannot say, such as a file name in another encoding, is escaped.
    """
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path, value, allow_nan=True):
    """Writes a value as JSON for people, whole or not at all.

    Raises:
        ValueError: if it holds NaN or infinity, which JSON does not know, and may not.
    """
    write(path, json.dumps(value, indent=2, allow_nan=allow_nan) + "\n")


def read_json(path, keys=()):
    """The dictionary in a file of JSON; None without it.

    Raises:
        ValueError: if it is damaged, or lacks some of `keys`.
    """
    if not path.exists():
        return None
    try:
        # Some editors begin a text with a mark.
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise ValueError(f"{path} is damaged: it is no text of UTF-8.") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}.") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} is damaged: it holds no dictionary.")
    if missing := sorted(set(keys) - set(found)):
        raise ValueError(f"{path} is damaged: it lacks {', '.join(missing)}.")
    return found


@contextlib.contextmanager
def naming(path):
    """Context of making something of what a file holds: errors name the file.

    Raises:
        ValueError: if it is damaged.
    """
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        said = f"{type(error).__name__}: {error}"
        said = str(error) if isinstance(error, ValueError) else said
        raise ValueError(f"{path} is damaged: {said.rstrip('.')}.") from error


def trouble(error):
    """A failure of disk, memory or an image as a sentence; None for other errors.

    Args:
        error: exception: an `OSError`, or one of TensorFlow's, whose messages have the
            file's name and then what the system said.
    """
    if isinstance(error, TroubleError):
        return str(error)
    if sentence := unusable(error):
        return sentence
    if isinstance(error, OSError) and error.errno in _TROUBLES:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{os.strerror(error.errno)}."
    if sentence := lack_of_memory(error):
        return sentence
    said = "|".join(re.escape(os.strerror(number)) for number in _TROUBLES)
    found = re.search(rf"(?:[^\n]*}}}} )?([^\n;]+); ({said})", str(error))
    if found:
        return paths.unlinked(f"{found[1].strip()}: {found[2]}.")
    # Other libraries have words of their own around the system's.
    full = "|".join(re.escape(os.strerror(number)) for number in _FULL)
    found = re.search(rf"[^\n]*(?:{full})[^\n]*", str(error))
    return f"{found[0].strip().removesuffix('.')}." if found else None


def unusable(error):
    """What an `UnusableFilesError` says, also out of a graph; None for other errors."""
    said = str(error)
    if not isinstance(error, UnusableFilesError):
        end = r"\s+Traceback \(most recent call last\)"
        found = re.search(rf"UnusableFilesError: (.*?){end}", said, re.DOTALL)
        said = found and found[1]
    return said and f"{said.removesuffix('.')}."


def lack_of_memory(error):
    """A failure of memory as a sentence; None for other errors."""
    if isinstance(error, MemoryError):
        return "There is too little memory."
    found = re.search(r"OOM when allocating tensor with shape(\S+)", str(error))
    if found:
        what = f"a tensor of shape {found[1]}"
    elif _ONEDNN_OUT_OF_MEMORY in str(error):
        what = "a convolution"
    elif _BATCH_OUT_OF_MEMORY in str(error):
        what = "the minibatches of a round"
    else:
        return None
    return (
        f"There is too little memory for {what}. A smaller --batch_size, --image_size or "
        "--tile_size needs less."
    )


def _has_keys(path, keys):
    """Whether a file is there, and a dictionary of JSON with these keys."""
    try:
        return read_json(path, keys) is not None
    except (OSError, ValueError):
        return False


def check_place(path):
    """Why a folder, there already or not, cannot be written to; None if it can.

    Args:
        path: the folder; those above it need not be there either.

    Returns:
        The end of a sentence that begins with the flag.
    """
    place = pathlib.Path(path)
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if place.is_symlink() and not place.exists():
        return f"{place} is a link to nothing."
    if not place.is_dir():
        return f"{place} is a file."
    return None if os.access(place, os.W_OK) else f"{place} may not be written to."


def check_output_dir(path, mark=None, keys=()):
    """Refuses an --output_dir that holds somebody's files.

    Args:
        path: the folder.
        mark: name of a file of JSON by which a folder of our own is known, and may be
            written into again; None where none may.
        keys: keys that it must have: others call their files so, too.

    Raises:
        ValueError: if the folder holds files, and not that one, or cannot be written to.
    """
    path = pathlib.Path(path)
    problem = check_place(path)
    if problem:
        raise ValueError(f"--output_dir={path}: {problem}")
    there = path.iterdir() if path.exists() else ()
    is_ours = mark and _has_keys(path / mark, keys)
    if not is_ours and any(not is_partial(file.name) for file in there):
        but = f" but no {mark} of ours" if mark else ""
        raise ValueError(f"--output_dir={path} holds files{but}. Choose another one.")
