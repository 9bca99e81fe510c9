"""Images as numbers: the one place that knows how pixels are scaled.

Inside the package an image is float32 `[H, W, 3]`, RGB, in [-1, 1]; on disk and in a
picture it is uint8 in [0, 255]. 127.5 appears in this file only.
"""

import numpy as np
import tensorflow as tf


def to_float(pixels):
    """uint8 `[..., 3]` in [0, 255] -> float32 in [-1, 1]."""
    return tf.cast(pixels, tf.float32) / 127.5 - 1.0


def to_pixels(image):
    """float `[..., 3]` in [-1, 1] -> float32 in [0, 255], neither rounded nor clipped."""
    return (tf.cast(image, tf.float32) + 1.0) * 127.5


def to_uint8(image):
    """float `[..., 3]` in [-1, 1] -> uint8 in [0, 255].

    Rounds to the nearest level. The script released with PAN truncates, which darkens
    every output by half a level.
    """
    return tf.cast(tf.clip_by_value(tf.round(to_pixels(image)), 0.0, 255.0), tf.uint8)


def grid(*columns, gap=4):
    """Sets batches of images side by side, one example a row.

    Args:
        *columns: uint8 `[N, H, W, 3]` each, for instance source, output, target.
        gap: width in pixels of the white lines between the images.

    Returns:
        uint8 `[N * (H + gap) - gap, len(columns) * (W + gap) - gap, 3]`, NumPy.
    """
    columns = [np.asarray(column) for column in columns]
    margin = ((0, 0), (0, gap), (0, gap), (0, 0))
    padded = [np.pad(column, margin, constant_values=255) for column in columns]
    rows = np.concatenate(np.concatenate(padded, axis=2), axis=0)
    return rows[:-gap, :-gap] if gap else rows
