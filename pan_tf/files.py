"""Files that are written whole or not at all, folders that are ours to write into, and
paths that are never patterns."""

import functools
import os
import pathlib
import tempfile

# TensorFlow looks for checkpoints by `GetMatchingPaths`, to which these are special: it
# does not find `runs/pan[lr=2e-4]`, and for `runs/pan*` it deletes those of `runs/pan2`.
SPECIAL = frozenset("*?[]\\")


def write(path, text):
    """Writes a text file whole and then renames it, so that it is never half there.

    What UTF-8 cannot say, such as a file name in another encoding, is escaped.
    """
    path = pathlib.Path(path)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    os.replace(partial, path)


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
    if not SPECIAL & set(str(path.absolute())):
        return path
    folder, name = (path, "") if path.is_dir() else (path.parent, path.name)
    return _link(folder.absolute()) / name


@functools.cache
def _link(folder):
    link = pathlib.Path(tempfile.mkdtemp(dir=_links().name)) / "folder"
    link.symlink_to(folder, target_is_directory=True)
    return link


@functools.cache
def _links():
    """A folder that goes with the process."""
    return tempfile.TemporaryDirectory(prefix="pan_tf-")


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
