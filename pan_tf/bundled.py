"""Folders that come with the package: `configs` and `serving`.

In a wheel they lie in the package; in a clone beside it, where users look for them.
"""

import pathlib

PACKAGE = pathlib.Path(__file__).parent


def folder(name):
    """Path of `configs` or `serving`."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def tasks():
    """Names of the flagfiles in `configs`, sorted."""
    return sorted(path.stem for path in folder("configs").glob("*.cfg"))
