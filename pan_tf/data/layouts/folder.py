"""A user's own files, and what all data sets that are files have in common.

`D/train/*.jpg` holds A | B in one image, A on the left; or `D/trainA/*` and `D/trainB/*`
hold two lists of files with equal names (endings may differ), or, without pairs, with any
names. Likewise `val` and `test`. Files are JPEG, PNG or BMP.
"""

import concurrent.futures
import dataclasses
import hashlib
import pathlib

import tensorflow as tf
from PIL import Image

from pan_tf import images
from pan_tf.data import preprocessing
from pan_tf.data.split import Images
from pan_tf.data.split import NoPairsError
from pan_tf.data.split import Split

_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp")
_FORMATS = ("JPEG", "MPO", "PNG", "BMP")  # MPO: what some telephones call JPEG.
_MOST_NAMED = 10


@dataclasses.dataclass(frozen=True)
class Listing:
    """The files of one split.

    Attributes:
        names: one a pair.
        files: tuples of one path (side by side) or two (A, B), one tuple a pair.
        is_photos: whether the files are single images, of which sources are to be made.
    """

    names: tuple
    files: tuple
    is_photos: bool = False

    @property
    def side_by_side(self):
        return len(self.files[0]) == 1 and not self.is_photos


SPLITS = ("train", "val", "test")


class Files:
    """A layout of files, which a subclass lists.

    A subclass defines `find(name, config, split)`, which gives the `Listing` of pairs, or
    the two `Listing`s of what has none; None where there is no such split.
    """

    def missing(self, name, config):
        if self.find(name, config, "train") is None:
            return self.sentence(name, config)
        return None

    def open(self, name, config, verified, paired, channels):
        found = {split: self.find(name, config, split) for split in SPLITS}
        found = {k: v for k, v in found.items() if v}
        return open_listings(found, verified, channels)


class Folder(Files):
    """`folder`: a user's own images in `train`, or `trainA` and `trainB`, and so on."""

    def missing(self, name, config):
        if exists(config.data_dir, "train"):
            return None  # Whether pairs or two lists, is looked at when it is opened.
        return f"No train/, nor trainA/ and trainB/, in --data_dir={config.data_dir}."

    def open(self, name, config, verified, paired, channels):
        both = not paired and has_two(config.data_dir, "train")
        list_split = find_two if both else find
        found = {split: list_split(config.data_dir, split) for split in SPLITS}
        found = {k: v for k, v in found.items() if v}
        return open_listings(found, verified, channels)


class Photos(Files):
    """`photos`: single images in `train`, `val` and `test`."""

    def find(self, name, config, split):
        return find_photos(config.data_dir, split)

    def sentence(self, name, config):
        return f"No train/ in --data_dir={config.data_dir}."


def open_listings(listings, verified, channels):
    """Opens files.

    Args:
        listings: split -> `Listing` of pairs, or (`Listing` of A, of B).
        verified: as in `data.open_data`.
        channels: of side A, of side B.

    Returns:
        (list of `Split`s, fingerprint).
    """
    every = [
        listing
        for found in listings.values()
        for listing in (found if isinstance(found, tuple) else (found,))
    ]
    splits = [
        Split(split, *(_image_list(*each) for each in zip(found, channels, strict=True)))
        if isinstance(found, tuple)
        else Split.of_pairs(split, found.names, _pair_loader(found, channels))
        for split, found in listings.items()
    ]
    return splits, fingerprint(every, verified)


def _image_list(listing, channels):
    paths = tf.constant([str(file) for (file,) in listing.files])

    def load(index):
        return preprocessing.decode(tf.io.read_file(paths[index]), channels)

    return Images(listing.names, load)


def _pair_loader(listing, channels):
    columns = [tf.constant([str(f) for f in c]) for c in zip(*listing.files, strict=True)]

    def load(index):
        contents = [tf.io.read_file(column[index]) for column in columns]
        if len(contents) == 2:
            pair = zip(contents, channels, strict=True)
            return tuple(preprocessing.decode(*each) for each in pair)
        pixels = preprocessing.decode(contents[0], max(channels))
        sides = (pixels, pixels) if listing.is_photos else preprocessing.halve(pixels)
        return tuple(map(images.with_channels, sides, channels))

    return load


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
        a, b = (pathlib.Path(data_dir) / f"{split}{side}" for side in "AB")
        raise NoPairsError(
            f"{a} and {b} must hold files of the same names, unless the recipe is one "
            "for unpaired sets (cyclegan, ...). Without a partner: "
            f"{some(lonely)}"
        )
    return listing


def find_photos(data_dir, split):
    """Lists single images; arguments, `Listing` and errors as of `find`."""
    root = pathlib.Path(data_dir) / split
    return single(images_of(root)) if root.is_dir() else None


def has_two(data_dir, split):
    """Whether a split lies in two folders."""
    return all((pathlib.Path(data_dir) / f"{split}{side}").is_dir() for side in "AB")


def find_two(data_dir, split):
    """Lists two folders whose files do not belong to each other.

    Returns:
        (`Listing` of A, of B); None if there are no two folders of that split.

    Raises:
        FileNotFoundError: if one of them holds no image.
    """
    if not has_two(data_dir, split):
        return None
    return tuple(single(images_of(pathlib.Path(data_dir) / f"{split}{s}")) for s in "AB")


def named(images, names):
    """`Listing` of some files of a folder.

    Args:
        images: the folder.
        names: text file with a file name a line; another ending is found too.

    Raises:
        FileNotFoundError: if a file is not there, or none is named.
    """
    found = {file.stem: file for file in images_of(images)}
    stems = [pathlib.Path(line).stem for line in names.read_text("utf-8").split()]
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
    names = (split, f"{split}A", f"{split}B")
    return any((pathlib.Path(data_dir) / name).is_dir() for name in names)


def list_files(data_dir, split):
    """Lists the files of a split that is there.

    Returns:
        (`Listing`, files of two folders that have no partner).

    Raises:
        FileNotFoundError: if a folder of the split holds no image.
        ValueError: if files of one folder differ in nothing but their ending.
    """
    root = pathlib.Path(data_dir)
    folders = root / f"{split}A", root / f"{split}B"
    if not any(folder.is_dir() for folder in folders):
        return side_by_side(root / split), []
    return two_folders(*folders)


def side_by_side(folder):
    """`Listing` of a folder of pairs side by side."""
    files = images_of(folder)
    return Listing(tuple(f.stem for f in files), tuple((f,) for f in files))


def two_folders(a, b, key=lambda stem: stem):
    """Lists two folders.

    Args:
        a: folder of sides A.
        b: folder of sides B.
        key: a file's name without its ending -> what it shares with its partner.

    Returns:
        (`Listing`, files that have no partner).
    """
    a, b = ({key(file.stem): file for file in images_of(f)} for f in (a, b))
    names = tuple(sorted(a.keys() & b.keys()))
    lonely = [a[name] for name in sorted(a.keys() - b.keys())]
    lonely += [b[name] for name in sorted(b.keys() - a.keys())]
    return Listing(names, tuple((a[name], b[name]) for name in names)), lonely


def images_of(folder):
    """The images in a folder, sorted by name.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if files differ in nothing but their ending.
    """
    files = folder.iterdir() if folder.is_dir() else ()
    files = sorted(f for f in files if f.suffix.lower() in _ENDINGS)
    if not files:
        raise FileNotFoundError(f"No image ({', '.join(_ENDINGS)}) in {folder}.")
    stems = [file.stem for file in files]
    twice = (
        [file for file in files if stems.count(file.stem) > 1]
        if (len(set(stems)) < len(stems))
        else []
    )
    if twice:
        raise ValueError(f"Files must differ in more than their ending: {some(twice)}")
    return files


def listing_fingerprint(listings):
    """sha256 of names and sizes: quick, to see whether anything has changed."""
    digest = hashlib.sha256()
    for listing in listings:
        for file in (file for files in listing.files for file in files):
            entry = f"{file.parent.name}/{file.name} {file.stat().st_size}\n"
            digest.update(entry.encode())
    return digest.hexdigest()


def fingerprint(listings, verified):
    """Of the contents of all files.

    Args:
        listings: `Listing`s.
        verified: as in `data.open_data`.

    Raises:
        ValueError: as `verify`.
    """
    listing = listing_fingerprint(listings)
    if verified and verified["fingerprint"].startswith(listing):
        return verified["fingerprint"]
    return f"{listing}:{verify(listings)}"


def verify(listings):
    """Decodes every file once.

    Args:
        listings: `Listing`s.

    Returns:
        sha256 of the contents of all files.

    Raises:
        ValueError: naming the files that are corrupt, of odd width where A and B are
            side by side, or whose A and B differ in size.
    """
    pairs = [files for listing in listings for files in listing.files]
    side_by_side = {
        files for listing in listings if listing.side_by_side for files in listing.files
    }
    with concurrent.futures.ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda f: _check(f, f in side_by_side), pairs))
    problems = [problem for _, problem in results if problem]
    if problems:
        things = "images" if all(listing.is_photos for listing in listings) else "pairs"
        raise ValueError(
            f"{len(problems)} of {len(pairs)} {things} cannot be used: {some(problems)}"
        )
    return hashlib.sha256("".join(d for d, _ in results).encode()).hexdigest()


def _check(files, is_side_by_side):
    """(sha256 of the pair's files, what is wrong with them or None)."""
    digest, sizes = hashlib.sha256(), []
    for file in files:
        digest.update(file.read_bytes())
        try:
            sizes.append(read(file).size)
        except ValueError as error:
            return digest.hexdigest(), str(error)
    if is_side_by_side and sizes[0][0] % 2:
        width = sizes[0][0]
        return digest.hexdigest(), f"{file} is {width} px wide, not two halves"
    if len(set(sizes)) > 1:
        a, b = (f"{w} x {h} px" for w, h in sizes)
        return digest.hexdigest(), f"{files[0]} is {a}, but {files[1]} is {b}"
    return digest.hexdigest(), None


def read(file):
    """A file, decoded to its end, as a Pillow image.

    Raises:
        ValueError: if it is not intact, or of a format that training does not read,
            whatever its ending.
    """
    try:
        image = Image.open(file)
        image.load()
    except (
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ) as error:
        raise ValueError(f"{file} is corrupt ({error})") from None
    if image.format not in _FORMATS:
        raise ValueError(f"{file} is {image.format} inside, not JPEG, PNG or BMP")
    return image


def some(items):
    more = len(items) - _MOST_NAMED
    shown = "; ".join(map(str, items[:_MOST_NAMED]))
    return shown + (f"; and {more} more." if more > 0 else ".")
