"""Files that are written whole or not at all, and folders that are ours to write into."""

import os
import pathlib


def write(path, text):
    """Writes a text file whole and then renames it, so that it is never half there.

    What UTF-8 cannot say, such as a file name in another encoding, is escaped.
    """
    path = pathlib.Path(path)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    os.replace(partial, path)


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
