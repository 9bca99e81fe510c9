"""3x3 convolutions with half the multiplications, for training on CPUs.

Winograd's minimal filtering F(4, 3) along the rows of images: four neighbouring outputs
of three taps take six products in place of twelve (Lavin and Gray, "Fast Algorithms for
Convolutional Neural Networks", 2015). What is left are six convolutions of 3x1 taps. In
one direction, with these points, float32 loses next to nothing; in both, as on GPUs, it
would lose five times as much.
"""

import functools
import pathlib

import numpy as np
import tensorflow as tf

from pan_tf import tracing

_OUTPUTS, _TAPS, _PRODUCTS = 4, 3, 6
_CPU = pathlib.Path("/proc/cpuinfo")  # Linux says there what it can do.


def _values(count):
    """Rows of powers: polynomials' values at five points and at infinity."""
    powers = np.vander((0.0, 1.0, -1.0, 0.5, -2.0), count, increasing=True)
    return np.vstack([powers, np.eye(count)[-1]])


# What pixels, taps and products are multiplied with.
_OF_PIXELS = np.linalg.inv(_values(_PRODUCTS)).T.astype(np.float32)
_OF_TAPS = _values(_TAPS).astype(np.float32)
_OF_PRODUCTS = _values(_OUTPUTS).T.astype(np.float32)


def pays(inputs, kernel, strides):
    """Whether a convolution takes less time like this.

    GPUs have kernels of their own for it. CPUs with AMX multiply so fast, in float32 too,
    that reading memory more often takes longer than what is saved. In half precision
    sums of pixels would lose too much. With few channels to add products over, or few
    pixels to a kernel, sums take as long as what is saved (`benchmarks/convolutions.py`).

    Args:
        inputs: float `[B, H, W, C]`; sizes that are not known count as large.
        kernel: `[height, width, C, D]`.
        strides: of both directions.
    """
    height, width, *channels = kernel.shape
    sizes = inputs.shape[:3]
    return (
        (height, width) == (_TAPS, _TAPS)
        and tuple(strides) == (1, 1)
        and inputs.dtype == tf.float32
        and min(channels) >= 128
        and (None in sizes or np.prod(sizes) >= 2 * max(channels))
        and not tf.config.list_logical_devices("GPU")
        and not _has_amx()
    )


@functools.cache
def _has_amx():
    try:
        return "amx_tile" in _CPU.read_text().split()
    except OSError:  # Systems without it run on CPUs without AMX, as a rule.
        return False


def convolve(inputs, kernel, padding=0):
    """`tf.nn.conv2d(inputs, kernel, 1, ...)` of 3x3 taps, up to rounding.

    Args:
        inputs: float32 `[B, H, W, C]`.
        kernel: float32 `[3, 3, C, D]`.
        padding: zeros on every side.

    Returns:
        float32 `[B, H + 2 padding - 2, W + 2 padding - 2, D]`.
    """

    @tf.custom_gradient
    def filtered(images, taps):
        outputs = _forward(images, taps, padding)
        sizes = [size and size + 2 * padding - 2 for size in images.shape[1:3]]
        outputs.set_shape([images.shape[0], *sizes, taps.shape[3]])
        return outputs, lambda upstream: _backward(images, taps, upstream, padding)

    return filtered(inputs, tf.convert_to_tensor(kernel))


@tracing.shared
def _forward(images, taps, padding):
    batch, height, _, groups = _sizes(images, padding)
    products = [
        tf.nn.conv2d(pixels, kernel, 1, "VALID")
        for pixels, kernel in zip(
            _of_pixels(images, padding), _of_taps(taps), strict=True
        )
    ]
    outputs = tf.concat(_combined(_OF_PRODUCTS, products), -1)
    shape = [batch, height - 2, groups * _OUTPUTS, taps.shape[3]]
    width = tf.shape(images)[2] + 2 * padding - 2
    return tf.reshape(outputs, shape)[:, :, :width]


@tracing.shared
def _backward(images, taps, upstream, padding):
    """Gradients for images and taps; factors are computed again, not kept."""
    batch, height, width, groups = _sizes(images, padding)
    channels, filters = taps.shape[2:]
    upstream = tf.pad(upstream, [[0, 0], [0, 0], [0, groups * 4 - width + 2], [0, 0]])
    upstream = tf.reshape(upstream, [batch, height - 2, groups, _OUTPUTS * filters])
    products = _combined(_OF_PRODUCTS.T, tf.split(upstream, _OUTPUTS, -1))

    shape = [batch, height, groups, channels]
    pixels = [
        tf.nn.conv2d_transpose(product, kernel, shape, 1, "VALID")
        for product, kernel in zip(products, _of_taps(taps), strict=True)
    ]
    own, following = tf.split(
        tf.concat(_combined(_OF_PIXELS.T, pixels), -1),
        [_OUTPUTS * channels, 2 * channels],
        -1,
    )
    own = tf.pad(own, [[0, 0], [0, 0], [0, 1], [0, 0]])
    following = tf.pad(following, [[0, 0], [0, 0], [1, 0], [0, 2 * channels]])
    padded = tf.reshape(
        own + following, [batch, height, (groups + 1) * _OUTPUTS, channels]
    )
    for_images = tf.slice(padded, [0, padding, padding, 0], tf.shape(images))

    kernels = [
        tf.compat.v1.nn.conv2d_backprop_filter(
            pixels, [_TAPS, 1, channels, filters], product, [1] * 4, "VALID"
        )
        for pixels, product in zip(_of_pixels(images, padding), products, strict=True)
    ]
    columns = tf.reshape(tf.stack(kernels), (_PRODUCTS, -1))
    columns = tf.matmul(_OF_TAPS, columns, transpose_a=True)
    for_taps = tf.reshape(columns, [_TAPS, _TAPS, channels, filters])
    return for_images, tf.transpose(for_taps, (1, 0, 2, 3))


def _sizes(images, padding):
    """(Images, rows, columns of padded ones, groups of outputs in a row)."""
    batch, height, width, _ = tf.unstack(tf.shape(images))
    height, width = height + 2 * padding, width + 2 * padding
    return batch, height, width, -(-(width - 2) // _OUTPUTS)


def _of_pixels(images, padding):
    """Six factors `[B, rows, groups, C]` of each group of four outputs."""
    batch, height, width, groups = _sizes(images, padding)
    channels = images.shape[3]
    # A group's pixels are its own four, and the first two of the next group.
    right = (groups + 1) * _OUTPUTS - width + padding
    padded = tf.pad(images, [[0, 0], [padding] * 2, [padding, right], [0, 0]])
    grouped = tf.reshape(padded, [batch, height, groups + 1, _OUTPUTS * channels])
    own = tf.split(grouped[:, :, :-1], _OUTPUTS, -1)
    following = tf.split(grouped[:, :, 1:, : 2 * channels], 2, -1)
    return _combined(_OF_PIXELS, own + following)


def _of_taps(taps):
    """Six kernels `[3, 1, C, D]`."""
    columns = tf.reshape(tf.transpose(taps, (1, 0, 2, 3)), (_TAPS, -1))
    shape = [_PRODUCTS, _TAPS, 1, *taps.shape[2:]]
    return tf.unstack(tf.reshape(tf.matmul(_OF_TAPS, columns), shape))


def _combined(matrix, images):
    """As many images as the matrix has rows: sums of those that are given."""
    stacked = tf.stack(images)
    shape = tf.concat([[len(matrix)], tf.shape(stacked)[1:]], 0)
    sums = tf.matmul(matrix, tf.reshape(stacked, (len(images), -1)))
    sums = tf.ensure_shape(tf.reshape(sums, shape), [len(matrix), *stacked.shape[1:]])
    return tf.unstack(sums)
