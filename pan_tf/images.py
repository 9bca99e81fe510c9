"""Images as numbers: the one place that knows how pixels are scaled, and channels told.

Inside the package an image is float32 `[H, W, C]` in [-1, 1]; on disk and in a picture it
is uint8 in [0, 255]. C is 1 (grey), 3 (RGB) or 4 (RGB and alpha, or any fourth); 2 is
taken as it is. 127.5 appears in this file only.
"""

import dataclasses

import numpy as np
import tensorflow as tf

PEAK = 255.0  # The largest level of 8 bits.
LEVEL = 2.0 / PEAK  # One level, of an image in [-1, 1].
# Luma of RGB, Y = .299 R + .587 G + .114 B.
LUMA = (0.299, 0.587, 0.114)


@dataclasses.dataclass(frozen=True)
class ImageSpec:
    """What the images of one side of a data set are.

    Attributes:
        channels: 1 to 4.
        bits: of a channel.
    """

    channels: int = 3
    bits: int = 8


def with_channels(pixels, channels):
    """uint8 `[..., C]` with another number of channels, NumPy or a tensor as it came.

    Grey is repeated, RGB becomes its luma; a fourth channel is dropped, or opaque.
    """
    is_numpy = isinstance(pixels, np.ndarray)
    pixels = tf.convert_to_tensor(pixels)
    own = pixels.shape[-1]
    if own != channels:
        rgb = tf.repeat(pixels[..., :1], 3, -1) if own < 3 else pixels[..., :3]
        if channels < 3:
            luma = tf.tensordot(tf.cast(rgb, tf.float32), tf.constant(LUMA), 1)
            grey = tf.cast(tf.round(luma), pixels.dtype)[..., None]
            pixels = tf.repeat(pixels[..., :1] if own < 3 else grey, channels, -1)
        elif channels == 3:
            pixels = rgb
        else:
            opaque = tf.fill(tf.shape(rgb[..., :1]), tf.cast(PEAK, pixels.dtype))
            pixels = tf.concat([rgb, opaque], -1)
    return pixels.numpy() if is_numpy else pixels


def to_float(pixels):
    """uint8 `[..., C]` in [0, 255] -> float32 in [-1, 1]."""
    return tf.cast(pixels, tf.float32) / 127.5 - 1.0


def to_pixels(image):
    """float `[..., C]` in [-1, 1] -> [0, 255], neither rounded nor clipped.

    The result is float32, or float64 as the image.
    """
    image = tf.convert_to_tensor(image)
    dtype = tf.float64 if image.dtype == tf.float64 else tf.float32
    return (tf.cast(image, dtype) + 1.0) * 127.5


def to_uint8(image):
    """float `[..., C]` in [-1, 1] -> uint8 in [0, 255].

    Rounds to the nearest level. The script released with PAN truncates, which darkens
    every output by half a level.
    """
    return tf.cast(tf.clip_by_value(tf.round(to_pixels(image)), 0.0, PEAK), tf.uint8)


# What Context-Encoders fill a hole with, RGB.
HOLE_COLOR = (117, 104, 123)


def to_caffe(image):
    """float RGB `[..., 3]` in [-1, 1] -> what VGG's weights in Keras were trained on.

    BGR in [0, 255], less ImageNet's mean colour; never the other convention's division
    by a standard deviation.
    """
    pixels = to_pixels(image)
    return pixels[..., ::-1] - tf.constant((103.939, 116.779, 123.68), pixels.dtype)


def hole_color():
    """Colour of a hole as float32 `[3]` in [-1, 1]."""
    return to_float(tf.constant(HOLE_COLOR, tf.uint8))


def hole_begin(size, overlap=False):
    """First row and column of an image's missing centre; see `central_mask`."""
    return size // 4 + (0 if overlap else size // 32)


def central_mask(size, overlap=False):
    """Where an image to inpaint is missing: the square in its centre.

    T generates half of the image's side; of that, an edge of a 32nd of the side was known
    to it (Context-Encoders: 64 of 128 px, of which 4 px on every side).

    Args:
        size: height and width in pixels, a multiple of 32.
        overlap: whether to count the known edge in.

    Returns:
        bool `[size, size, 1]`, NumPy: True in the hole.
    """
    begin = hole_begin(size, overlap)
    mask = np.zeros((size, size, 1), bool)
    mask[begin : size - begin, begin : size - begin] = True
    return mask


def cut_hole(image):
    """float `[..., S, S, 3]` in [-1, 1] -> the same with its centre filled."""
    mask = central_mask(image.shape[-2])
    return tf.where(mask, tf.cast(hole_color(), image.dtype), image)


def grid(*columns, gap=4):
    """Sets batches of images side by side, one example a row.

    Args:
        *columns: uint8 `[N, H, W, C]` each, for instance source, output, target.
        gap: width in pixels of the white lines between the images.

    Returns:
        uint8 `[N * (H + gap) - gap, len(columns) * (W + gap) - gap, 3]`, NumPy, RGB.
    """
    columns = [with_channels(np.asarray(column), 3) for column in columns]
    margin = ((0, 0), (0, gap), (0, gap), (0, 0))
    padded = [np.pad(column, margin, constant_values=255) for column in columns]
    rows = np.concatenate(np.concatenate(padded, axis=2), axis=0)
    return rows[:-gap, :-gap] if gap else rows
