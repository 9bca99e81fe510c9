"""Which files belong to a split, and together."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import os
import pathlib
import time
import unicodedata

import numpy as np
from absl import logging

from pan_tf.data.layouts import shards
from pan_tf.data.split import LOOKED_AT
from pan_tf.data.split import NoPairsError
from pan_tf.image_files import ENDINGS
from pan_tf.image_files import ImageFileError
from pan_tf.image_files import is_image
from pan_tf.image_files import not_a_file
from pan_tf.image_files import read_header

SPLITS = ("train", "val", "test")
_MOST_NAMED = 10
_TICK = 2 * 10**9  # Nanoseconds.
_CHUNK = 64  # A header takes less time than giving it to a thread.


@dataclasses.dataclass(frozen=True)
class Listing:
    """The files of one split.

    Attributes:
        names: one a pair.
        files: tuples of one path (side by side) or two (A, B), one tuple a pair.
        is_single: whether each file is an image by itself, not A | B: of a list without
            pairs, or one whose source is to be made of it.
    """

    names: tuple
    files: tuple
    is_single: bool = False

    @property
    def side_by_side(self):
        return bool(self.files) and len(self.files[0]) == 1 and not self.is_single

    def sizes(self, places=None):
        """Height and width of the images, by the files' headers: int `[n, 2]`.

        Args:
            places: numbers of those that are wanted; None: all.
        """
        known = [(h.height, h.width) for h in self.headers(places) if h]
        return np.array(known, int).reshape(-1, 2) // [1, 2 if self.side_by_side else 1]

    def headers(self, places=None):
        """`image_files.Header`s of its first files; None of what cannot be read."""
        chosen = range(len(self.files)) if places is None else places
        files = [self.files[place][0] for place in chosen]
        chunks = [files[i : i + _CHUNK] for i in range(0, len(files), _CHUNK)]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            found = pool.map(lambda chunk: [_header(file) for file in chunk], chunks)
            return [header for headers in found for header in headers]


def find(data_dir, split):
    """Lists the files of a split.

    Args:
        data_dir: the folder that holds `train`, or `trainA` and `trainB`.
        split: "train", "val" or "test".

    Returns:
        `Listing`, sorted by name; None if there is no folder of that split.

    Raises:
        FileNotFoundError: if the split's folders hold no image.
        ValueError: if the two folders do not hold files of the same names.
    """
    if not exists(data_dir, split):
        return None
    listing, lonely = list_files(data_dir, split)
    if lonely:
        a, b = _sides(data_dir, split)
        raise NoPairsError(
            f"{a} and {b} must hold files of the same names, unless the recipe is one "
            "for unpaired sets (cyclegan, ...). Without a partner: "
            f"{some(lonely)}"
        )
    return listing


def find_photos(data_dir, split):
    """Lists single images; arguments, `Listing` and errors as of `find`."""
    root = place(data_dir, split)
    return single(images_of(root)) if root.is_dir() else None


def has_two(data_dir, split):
    """Whether a split lies in two folders."""
    return all(folder.is_dir() for folder in _sides(data_dir, split))


def find_two(data_dir, split):
    """Lists two folders whose files do not belong to each other.

    Returns:
        (`Listing` of A, of B); None if there are no two folders of that split.

    Raises:
        FileNotFoundError: if one of them holds no image.
    """
    if not has_two(data_dir, split):
        return None
    folders = _sides(data_dir, split)
    return tuple(single(images_of(folder, unique=False)) for folder in folders)


def named(images, names):
    """`Listing` of some files of a folder.

    Args:
        images: the folder.
        names: text file with a file name a line; another ending is found too.

    Raises:
        FileNotFoundError: if a file is not there, or none is named.
    """
    found = {file.stem: file for file in images_of(images)}
    lines = names.read_text("utf-8-sig").splitlines()
    stems = [pathlib.Path(line.strip()).stem for line in lines if line.strip()]
    lost = [stem for stem in stems if stem not in found]
    if lost or not stems:
        raise FileNotFoundError(
            f"{names} must name images in {images}. "
            + (f"Not there: {some(lost)}" if lost else "It is empty.")
        )
    return single(sorted(found[stem] for stem in stems))


def single(files):
    """`Listing` of files that hold an image each."""
    return Listing(tuple(f.stem for f in files), tuple((f,) for f in files), True)


def exists(data_dir, split):
    """Whether there is a folder, or one of two, of a split."""
    return bool(folders_of(data_dir, split))


def first_split(data_dir):
    """The split that tells what a data set's files are like: "train", if it is there."""
    there = (split for split in SPLITS if exists(data_dir, split))
    return next(there, SPLITS[0])


def folders_of(data_dir, split):
    """Those of a split, as `place`, that are there: one of pairs, or of two sides."""
    every = (place(data_dir, split), *_sides(data_dir, split))
    return [folder for folder in every if folder.is_dir()]


def place(data_dir, name):
    """Where a folder of images is, or would be: a path, or `shards.Folder`."""
    return shards.folder(data_dir, name) or pathlib.Path(data_dir) / name


def _sides(data_dir, split):
    return [place(data_dir, f"{split}{side}") for side in "AB"]


def list_files(data_dir, split):
    """Lists the files of a split that is there.

    Returns:
        (`Listing`, files of two folders that have no partner).

    Raises:
        FileNotFoundError: if a folder of the split holds no image.
        ValueError: if files of one folder differ in nothing but their ending.
    """
    folders = _sides(data_dir, split)
    if not any(folder.is_dir() for folder in folders):
        return side_by_side(place(data_dir, split)), []
    if (pairs := place(data_dir, split)).is_dir():
        both = " and ".join(map(str, folders))
        _warn(f"{pairs} is left alone: {both} hold the pairs.")
    return two_folders(*folders)


def side_by_side(folder):
    """`Listing` of a folder of pairs side by side."""
    return dataclasses.replace(single(images_of(folder)), is_single=False)


def two_folders(a, b, key=lambda stem: stem):
    """Lists two folders.

    Args:
        a: folder of sides A.
        b: folder of sides B.
        key: a file's name without its ending -> what it shares with its partner.

    Returns:
        (`Listing`, files that have no partner).
    """
    # One and the same letter may be written in two ways, as files of a Mac have it.
    a, b = (
        {unicodedata.normalize("NFC", key(file.stem)): file for file in images_of(f)}
        for f in (a, b)
    )
    names = tuple(sorted(a.keys() & b.keys()))
    lonely = [a[name] for name in sorted(a.keys() - b.keys())]
    lonely += [b[name] for name in sorted(b.keys() - a.keys())]
    return Listing(names, tuple((a[name], b[name]) for name in names)), lonely


def images_of(folder, unique=True):
    """The images in a folder, sorted by name; what is left alone is told.

    Args:
        folder: path.
        unique: whether names must differ in more than their ending, as those of pairs.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if files differ in nothing but their ending, or what has an image's
            name is a link to nothing, a pipe or a device.
    """
    files, odd, others, below = _scanned(folder)
    wrong = [f"{file} {problem}" for file in odd if (problem := not_a_file(file))]
    if wrong:
        raise ValueError(f"{len(wrong)} images cannot be read: {some(wrong)}")
    left = f"folders in it are left alone: {some(below)}" if below else ""
    if not files:
        raise FileNotFoundError(
            f"No image ({', '.join(ENDINGS)}) in {folder}"
            + (f"; {left} Put their images into it." if left else ".")
        )
    if left:
        _warn(f"{folder}: {left}")
    if others:
        _warn(
            f"{folder}: {len(others)} files are left alone, being no images by their "
            f"names: {some(others)}"
        )
    counts = collections.Counter(file.stem for file in files)
    twice = [file for file in files if counts[file.stem] > 1] if unique else []
    if twice:
        raise ValueError(f"Files must differ in more than their ending: {some(twice)}")
    return files


def _scanned(folder):
    """What a folder holds: tuples of (images, those of them that are no plain files,
    names of other files that are not hidden, names of folders with images)."""
    if isinstance(folder, shards.Folder):
        return folder.members(), (), (), ()
    if not folder.is_dir():
        return (), (), (), ()
    changed = folder.stat().st_mtime_ns
    # What has just changed may change again within a tick of the file system's clock.
    is_new = time.time_ns() - changed < _TICK
    return (_scan if is_new else _scan_as_of)(folder, changed)


def _scan(folder, changed):
    there = {}  # Name -> whether it is a plain file: many file systems list it so.
    below = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # A link in a circle is no folder.
                if entry.is_dir():
                    below += [entry.name] if _holds_images(entry) else []
                    continue
            there[entry.name] = entry.is_file(follow_symlinks=False)
    chosen = sorted(filter(is_image, there))
    files = tuple(folder / name for name in chosen)
    odd = tuple(file for file in files if not there[file.name])
    others = (name for name in there.keys() - set(chosen) if not name.startswith("."))
    return files, odd, tuple(sorted(others)), tuple(sorted(below))


def _holds_images(folder):
    """Whether there are images in a folder that is not hidden, or further down."""
    if folder.name.startswith("."):
        return False
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return any(
            _holds_images(entry)
            if entry.is_dir(follow_symlinks=False)
            else is_image(entry.name)
            for entry in entries
        )
    return False


_scan_as_of = functools.lru_cache(maxsize=16)(_scan)


def _header(file):
    """`Header` of a file, None if it has none that can be read: reading it will tell."""
    try:
        state = file.stat()
        return _header_as_of(file, state.st_mtime_ns, state.st_size)
    except (ImageFileError, OSError):
        return None


@functools.lru_cache(maxsize=4 * LOOKED_AT)
def _header_as_of(file, changed, size):
    """`Header` of a file as it is: opening a data set asks for it again and again."""
    return read_header(file)


@functools.cache
def _warn(sentence):
    """Once: a data set's folders are listed again and again while it is opened."""
    logging.warning("*** %s ***", sentence)


def some(items):
    """The first few of several things, as a sentence's end."""
    more = len(items) - _MOST_NAMED
    shown = "; ".join(map(str, items[:_MOST_NAMED]))
    return shown + (f"; and {more} more." if more > 0 else ".")
