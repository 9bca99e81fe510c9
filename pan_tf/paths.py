"""Where things are: on this machine, and never a pattern."""

import atexit
import contextlib
import os
import pathlib
import re
import tempfile

# TensorFlow looks for checkpoints by `GetMatchingPaths`, to which these are special: it
# does not find `runs/pan[lr=2e-4]`, and for `runs/pan*` it deletes those of `runs/pan2`.
SPECIAL = frozenset("*?[]\\")
_LINKS = {}  # Folder -> link to it.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def place(path):
    """A path as a user gives it: `~` is their home.

    Args:
        path: text, or anything with a path's text.

    Returns:
        The text of the path.

    Raises:
        ValueError: with the rule, if it is none, or a URL, of which `pathlib` would make
            a folder, or of nobody's home.
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError("must be a path")
    text = os.fspath(path)
    if _URL.match(text):
        raise ValueError("must be a path of this machine: mount a bucket, or copy it")
    home = os.path.expanduser(text)
    if text.startswith("~") and home == text:
        raise ValueError("begins with a home that is not known; a name does with ./~")
    return home


def named(name, path):
    """`pathlib.Path` of `place`, or its ValueError with the name of the flag."""
    try:
        if path == "":  # It would be the folder that one happens to be in.
            raise ValueError("must be a path")
        return pathlib.Path(place(path))
    except ValueError as error:
        raise ValueError(f"--{name} {error}. Received: {name}={path!r}.") from None


def literal(path):
    """The same place by a name that TensorFlow does not take for a pattern.

    Args:
        path: a folder, or the prefix of a checkpoint in a folder; its last part has
            nothing special.

    Returns:
        `pathlib.Path`: the path itself, or, where it has something special, one through
        a link that lives as long as the process.
    """
    path = pathlib.Path(path)
    if not _is_special(path.absolute()):
        return path
    folder, name = (path, "") if path.is_dir() else (path.parent, path.name)
    return _link(folder.absolute()) / name


def _is_special(path):
    """Whether TensorFlow takes it for a pattern, or, not being UTF-8, not at all."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return bool(SPECIAL & set(str(path)))


def _link(folder):
    if folder not in _LINKS:
        place = tempfile.mkdtemp(prefix="pan_tf-")
        if SPECIAL & set(place):
            os.rmdir(place)
            raise ValueError(
                f"TMPDIR={tempfile.gettempdir()} must have none of {' '.join(SPECIAL)}."
            )
        link = pathlib.Path(place) / "folder"
        link.symlink_to(folder, target_is_directory=True)
        _LINKS[folder] = link
    return _LINKS[folder]


def unlinked(text):
    """A text with the folders' own names in place of the links to them."""
    for folder, link in _LINKS.items():
        text = text.replace(str(link), str(folder))
    return text


@atexit.register
def forget_links():
    """Deletes the links; a process that ends otherwise than by `sys.exit` calls it."""
    while _LINKS:
        _, link = _LINKS.popitem()
        with contextlib.suppress(OSError):
            link.unlink()
            link.parent.rmdir()
