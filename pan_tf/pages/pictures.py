"""Images as they stand in a report."""

import base64
import io

import numpy as np
from PIL import Image

from pan_tf import images

# Levels of mean absolute error over R, G and B that the error map shows as white.
FULL_ERROR = 128
# Pixels of the longer side that a picture has in a report, at most.
LARGEST = 512
# CSS pixels of a quarter of a page, without its borders and gaps.
_COLUMN = 304
# Black, violet, orange, yellow, white: rising lightness, also for the colour-blind.
_STOPS = np.array(
    [(0, 0, 0), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 225)], np.float64
)


def error_map(output, target):
    """Mean absolute error over the channels of two uint8 images, in colours, `[H, W, 3]`.

    Black is no error, white `FULL_ERROR` levels and more: one scale for all images.
    """
    error = np.abs(output.astype(np.float64) - target.astype(np.float64)).mean(-1)
    return colors(error / FULL_ERROR)


def colors(values):
    """Values `[...]` in [0, 1], clipped, -> uint8 `[..., 3]`."""
    place = np.clip(values, 0.0, 1.0) * (len(_STOPS) - 1)
    stops = np.arange(len(_STOPS))
    channels = [np.interp(place, stops, _STOPS[:, c]) for c in range(3)]
    return np.stack(channels, -1).round().astype(np.uint8)


def fitted(pixels, longest=LARGEST):
    """`[H, W, C]`, made smaller if a side is longer than so many pixels."""
    pixels = np.asarray(pixels)
    if max(pixels.shape[:2]) <= longest:
        return pixels
    image = Image.fromarray(images.as_rgb(pixels))
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return np.asarray(image)


def data_uri(pixels):
    """uint8 `[H, W, C]` -> the `src` of an <img>, lossless: no file of its own.

    WebP, since every browser shows it and it takes a third less room than PNG.
    """
    buffer = io.BytesIO()
    shown = images.as_rgb(pixels)
    Image.fromarray(shown).save(buffer, format="webp", lossless=True)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def shown_width(width):
    """CSS pixels to show an image at: a whole multiple, so that no pixel is blurred.

    As wide as it may be where four stand beside each other in the width of a page.
    """
    return width * max(1, _COLUMN // width)
