"""3x3 convolutions with half the multiplications, for training on CPUs.

Winograd's minimal filtering F(4, 3) along the columns of images: four outputs below each
other take six products for three rows of taps in place of twelve (Lavin and Gray, "Fast
Algorithms for Convolutional Neural Networks", 2015). What is left are six products of
matrices, over the taps of a row and channels. In one direction, with these points,
float32 loses next to nothing; in both, as on GPUs, it would lose five times as much.
"""

import numpy as np
import tensorflow as tf

from pan_tf import runtime
from pan_tf import tracing

_OUTPUTS, _TAPS, _PRODUCTS = 4, 3, 6


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

    GPUs have kernels of their own for it. In half precision sums of pixels would lose too
    much. With few channels to add products over, sums take as long as what is saved, and
    so do kernels' where there are few pixels; many pixels would lie in memory four times
    and more (`benchmarks/convolutions.py`).

    Args:
        inputs: float `[B, H, W, C]`; sizes that are not known count as too large.
        kernel: `[height, width, C, D]`.
        strides: of both directions.
    """
    height, width, *channels = kernel.shape
    return (
        (height, width) == (_TAPS, _TAPS)
        and tuple(strides) == (1, 1)
        and inputs.dtype == tf.float32
        and min(channels) >= 256
        and None not in inputs.shape[:3]
        and 0.5 < np.prod(inputs.shape[:3]) / max(channels) <= 64
        and runtime.is_on_cpu()
    )


def convolve(inputs, kernel, padding=0):
    """`tf.nn.conv2d(inputs, kernel, 1, ...)` of 3x3 taps, up to rounding.

    Args:
        inputs: float32 `[B, H, W, C]`; sizes are known.
        kernel: float32 `[3, 3, C, D]`.
        padding: zeros on every side.

    Returns:
        float32 `[B, H + 2 padding - 2, W + 2 padding - 2, D]`.
    """

    @tf.custom_gradient
    def filtered(images, taps):
        return _forward(images, taps, padding), lambda upstream: _backward(
            images, taps, upstream, padding
        )

    return filtered(inputs, tf.convert_to_tensor(kernel))


@tracing.shared
def _forward(images, taps, padding):
    batch, height, width, groups = _outputs(images, padding)
    products = tf.matmul(_of_pixels(images, padding), _of_taps(taps))
    outputs = _combined(_OF_PRODUCTS, products, [batch, groups, width * taps.shape[3]])
    shape = [batch, groups * _OUTPUTS, width, taps.shape[3]]
    return tf.reshape(tf.transpose(outputs, (1, 2, 0, 3)), shape)[:, :height]


@tracing.shared
def _backward(images, taps, upstream, padding):
    """Gradients for images and taps; factors are computed again, not kept."""
    batch, height, width, groups = _outputs(images, padding)
    channels, filters = taps.shape[2:]
    upstream = tf.pad(upstream, [[0, 0], [0, groups * _OUTPUTS - height], [0, 0], [0, 0]])
    upstream = tf.reshape(upstream, [batch * groups, _OUTPUTS, width * filters])
    products = _combined(
        _OF_PRODUCTS.T,
        tf.transpose(upstream, (1, 0, 2)),
        [batch * groups * width, filters],
    )

    columns = tf.matmul(_of_pixels(images, padding), products, transpose_a=True)
    for_taps = _combined(_OF_TAPS.T, columns, [_TAPS, channels, filters])

    seen = tf.matmul(products, _of_taps(taps), transpose_b=True)
    seen = tf.reshape(seen, [_PRODUCTS, batch, groups, width, _TAPS * channels])
    pixels = tf.add_n(
        [
            tf.pad(tap, [[0, 0], [0, 0], [0, 0], [i, _TAPS - 1 - i], [0, 0]])
            for i, tap in enumerate(tf.split(seen, _TAPS, -1))
        ]
    )
    pixels = _combined(_OF_PIXELS.T, pixels, [batch, groups, (width + 2) * channels])
    # A group's pixels are its own four rows, and the first two of the next group.
    own, following = tf.split(tf.transpose(pixels, (1, 2, 0, 3)), [_OUTPUTS, 2], 2)
    padded = tf.pad(own, [[0, 0], [0, 1], [0, 0], [0, 0]])
    padded += tf.pad(following, [[0, 0], [1, 0], [0, 2], [0, 0]])
    padded = tf.reshape(padded, [batch, (groups + 1) * _OUTPUTS, width + 2, channels])
    begin = [0, padding, padding, 0]
    return tf.slice(padded, begin, images.shape), for_taps


def _outputs(images, padding):
    """(Images, rows, columns of outputs, groups of four rows)."""
    batch, height, width, _ = images.shape
    height, width = height + 2 * padding - 2, width + 2 * padding - 2
    return batch, height, width, -(-height // _OUTPUTS)


def _of_pixels(images, padding):
    """Six factors `[6, B groups columns, 3 C]`: for each output, pixels of a row."""
    batch, height, width, groups = _outputs(images, padding)
    below = groups * _OUTPUTS - height + padding
    padded = tf.pad(images, [[0, 0], [padding, below], [padding] * 2, [0, 0]])
    rows = groups * _OUTPUTS + 2
    first = np.arange(batch)[:, None] * rows + np.arange(groups) * _OUTPUTS
    which = (first + np.arange(_PRODUCTS)[:, None, None]).ravel().astype(np.int32)
    size = (width + 2) * images.shape[3]
    seen = tf.gather(tf.reshape(padded, [batch * rows, size]), which)
    seen = tf.reshape(seen, [_PRODUCTS, batch * groups, size])
    sums = _combined(_OF_PIXELS, seen, [batch * groups * (width + 2), images.shape[3]])
    # Gathered, not sliced and joined: pixels are written once.
    beside = np.arange(width)[:, None] + np.arange(_TAPS)
    beside = np.arange(batch * groups)[:, None, None] * (width + 2) + beside
    return tf.reshape(
        tf.gather(sums, beside.ravel().astype(np.int32), axis=1),
        [_PRODUCTS, batch * groups * width, _TAPS * images.shape[3]],
    )


def _of_taps(taps):
    """Six matrices `[6, 3 C, D]`."""
    return _combined(_OF_TAPS, taps, [_TAPS * taps.shape[2], taps.shape[3]])


def _combined(matrix, values, shape):
    """As many values, of this shape, as the matrix has rows: sums of those given."""
    sums = tf.matmul(matrix, tf.reshape(values, (matrix.shape[1], -1)))
    return tf.reshape(sums, [len(matrix), *shape])
