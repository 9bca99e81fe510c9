"""Sources that are made of targets: rain, snow, a missing centre.

Where the papers' pairs cannot be had, or were synthesized in the first place, any photos
give pairs. An image is float32 `[H, W, C]` in [-1, 1] before and after. Everything random
follows from a seed, so that an example is what it was when a run resumes, and held-out
pairs are the same for every system.

Rain and snow are layers of drops, near and far. A layer is white noise above a threshold
(its density), drawn out by one straight kernel (motion blur: length, direction, width)
and laid over the image like light on a screen, y + s (1 - y) for y in [0, 1]. Streaks of
one image fall the same way but for a few degrees; images differ in direction, density
and strength. That is how the rain of ID-CGAN's pairs was made, by hand, in an image
editor; the parameters here are our own, chosen by looking (docs/synthesis.png).
"""

import dataclasses
import math
from collections.abc import Callable

import tensorflow as tf

from pan_tf import images

# For each layer, far to near: range of the density (drops a pixel), of the length and of
# the width (standard deviation) of a streak, both as shares of the image's side, and of
# its strength.
_RAIN = (
    ((4e-3, 2e-2), (0.03, 0.08), (0.0016, 0.0024), (0.15, 0.45)),
    ((5e-4, 3e-3), (0.08, 0.20), (0.0024, 0.0040), (0.3, 0.8)),
)
_SNOW = (
    ((3e-3, 1e-2), (0.0, 0.01), (0.0018, 0.0030), (0.3, 0.7)),
    ((5e-4, 2e-3), (0.0, 0.025), (0.0040, 0.0070), (0.5, 0.9)),
    ((5e-5, 2e-4), (0.01, 0.05), (0.0090, 0.0150), (0.4, 0.9)),
)
_LARGEST_ANGLE = {"rain": math.radians(30), "snow": math.radians(60)}


def rain(image, seed):
    """An image with rain streaks.

    Args:
        image: float32 `[H, W, C]` in [-1, 1].
        seed: int64 `[2]`.

    Returns:
        float32 `[H, W, C]` in [-1, 1].
    """
    return _fall(image, seed, _RAIN, _LARGEST_ANGLE["rain"])


def snow(image, seed):
    """An image with snow flakes of three sizes; arguments as of `rain`."""
    return _fall(image, seed, _SNOW, _LARGEST_ANGLE["snow"])


def hole(image, seed):
    """An image without its centre, as Context-Encoders cut it; see `images.cut_hole`."""
    return images.cut_hole(image)


@dataclasses.dataclass(frozen=True)
class Synthesis:
    """One way to make sources: `--synthesize`.

    Attributes:
        function: (image, seed) -> image, arguments as of `rain`.
        cuts_centre: whether all that a source lacks is the centre of a square of RGB.
    """

    function: Callable
    cuts_centre: bool = False

    def __call__(self, image, seed):
        return self.function(image, seed)


SYNTHESES = {
    "hole": Synthesis(hole, cuts_centre=True),
    "rain": Synthesis(rain),
    "snow": Synthesis(snow),
}


def _fall(image, seed, layers, largest_angle):
    # Streaks are as long as in a square of the shorter side.
    height, width = image.shape[:2]
    size = min(height, width)
    draw = _Draws(seed)
    direction = draw(-largest_angle, largest_angle)
    for density, length, breadth, strength in layers:
        drops = tf.cast(draw.map(height, width) < draw(*density), tf.float32)
        kernel = _streak(
            size,
            draw(*length) * size,
            # A streak thinner than a pixel would fade away at small sizes.
            tf.maximum(draw(*breadth) * size, 0.5),
            direction + draw(-math.radians(3), math.radians(3)),
            longest=max(length) + 6 * max(breadth),
        )
        blurred = tf.nn.conv2d(drops[None, :, :, None], kernel, 1, "SAME")[0]
        light = tf.minimum(blurred, 1.0) * draw(*strength)
        image += light * (1.0 - image)  # In [-1, 1] as in [0, 1].
    return tf.clip_by_value(image, -1.0, 1.0)


class _Draws:
    """Numbers that follow from a seed, one after the other."""

    def __init__(self, seed):
        self._seed, self._count = seed, 0

    def _next(self):
        # The crop and augmentations draw with the seed itself and a few after it.
        self._count += 1
        return self._seed + tf.constant([0, 1], tf.int64) * (2**32 * self._count)

    def __call__(self, low, high):
        return tf.random.stateless_uniform([], self._next(), low, high)

    def map(self, height, width):
        return tf.random.stateless_uniform([height, width], self._next())


def _streak(size, length, width, angle, longest):
    """A straight line with soft sides, float32 `[K, K, 1, 1]`, largest value 1.

    Args:
        size: of the image, in pixels.
        length: of the line, in pixels.
        width: standard deviation across it, in pixels.
        angle: from the vertical, in radians.
        longest: share of the image's side that a line may take.
    """
    reach = max(3, math.ceil(longest * size / 2))
    offsets = tf.range(-reach, reach + 1, dtype=tf.float32)
    y, x = tf.meshgrid(offsets, offsets, indexing="ij")
    along = y * tf.cos(angle) + x * tf.sin(angle)
    across = x * tf.cos(angle) - y * tf.sin(angle)
    beyond = tf.maximum(tf.abs(along) - length / 2, 0.0)
    line = tf.exp(-(across**2 + beyond**2) / (2.0 * width**2))
    return line[:, :, None, None]
