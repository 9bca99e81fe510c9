"""Convolutions of few pixels as products of matrices, for training on CPUs.

Where a kernel has more numbers than the images, oneDNN spends its time on reordering
kernels, and its gradients for kernels of a few pixels use a fraction of the cores. A row
of numbers for each output (im2col; Chellapilla et al., "High Performance Convolutional
Neural Networks for Document Processing", 2006) makes of all three passes products of
matrices, which read and write kernels as they lie. U-Nets spend half their layers on such
images.
"""

import math
import typing

import numpy as np
import tensorflow as tf

from pan_tf import runtime
from pan_tf import tracing


class Window(typing.NamedTuple):
    """How a kernel moves over images.

    Attributes:
        size: (height, width) of the kernel.
        strides: of both directions.
        padding: zeros ((above, below), (left, right)).
    """

    size: tuple
    strides: tuple
    padding: tuple

    def outputs(self, sizes):
        """(Height, width) of what a convolution of images of these sizes gives."""
        return tuple(
            (pixels + sum(zeros) - taps) // stride + 1
            for pixels, taps, stride, zeros in zip(
                sizes, self.size, self.strides, self.padding, strict=True
            )
        )


def window(kernel, strides, padding, sizes):
    """The window of a Keras layer of this padding.

    Args:
        kernel: `[height, width, ...]`.
        strides: of both directions.
        padding: "valid" or "same".
        sizes: (height, width) of the convolution's images; needed only by "same" with
            strides other than 1.
    """
    size, strides = tuple(kernel.shape[:2]), tuple(strides)
    missing = [0, 0]
    if padding == "same":
        missing = [
            taps - 1
            if stride == 1
            else max(0, (-(-pixels // stride) - 1) * stride + taps - pixels)
            for pixels, taps, stride in zip(sizes, size, strides, strict=True)
        ]
    return Window(size, strides, tuple((n // 2, n - n // 2) for n in missing))


class Ways(typing.NamedTuple):
    """Which passes are products of matrices.

    Attributes:
        between: those from images to images, in both directions.
        for_kernel: the gradient for the kernel.
    """

    between: bool = False
    for_kernel: bool = False


def pays(outputs, kernel, strides, dtype):
    """The ways in which a convolution takes less time; small kernels gain little.

    Args:
        outputs: shape `[B, H, W, ...]` of what the convolution gives (a transposed one
            takes); sizes that are not known count as large.
        kernel: `[height, width, C, D]`.
        strides: of both directions.
        dtype: of the images.

    Returns:
        `Ways`.
    """
    *taps, channels, filters = kernel.shape
    if (
        None in outputs[:3]
        or min(channels, filters) < 128
        or channels * filters < 2**16
        or any(tap < stride for tap, stride in zip(taps, strides, strict=True))
        or not runtime.is_on_cpu()
    ):
        return Ways()
    ratio = math.prod(outputs[:3]) / max(channels, filters)
    # In half precision oneDNN takes longer before it multiplies.
    return Ways(ratio <= 1 / 2, ratio <= (2 if dtype == tf.bfloat16 else 1 / 2))


def convolve(images, kernel, window, ways):
    """A convolution whose gradients are computed by fast kernels.

    With explicit padding TensorFlow's CPU build has oneDNN compute a convolution, but its
    gradients fall to slower kernels (those for images take about 1.7 times as long),
    unless they are those of a convolution without padding: so they are written as such,
    of a padded input.

    Args:
        images: float `[B, H, W, C]`, sizes known where a way is a product.
        kernel: of the same dtype, `[height, width, C, D]`.
        window: `Window`.
        ways: `Ways`.

    Returns:
        `[B, h, w, D]`.
    """

    @tf.custom_gradient
    def convolved(x, w):
        def gradient(dy):
            shape = x.shape if x.shape.is_fully_defined() else tf.shape(x)
            dx = _for_images(dy, w, window, shape, ways.between)
            return dx, _for_kernel(x, dy, w, window, ways.for_kernel)

        return _forward(x, w, window, ways.between), gradient

    return convolved(images, tf.convert_to_tensor(kernel))


def convolve_transposed(images, kernel, window, sizes, ways):
    """The gradient of `convolve` for its images, as a convolution.

    Args:
        images: float `[B, h, w, D]`, sizes known.
        kernel: of the same dtype, `[height, width, C, D]`.
        window: `Window` of the convolution.
        sizes: (height, width) of what is returned.
        ways: `Ways`.

    Returns:
        `[B, H, W, C]`.
    """
    shape = (images.shape[0], *sizes, kernel.shape[2])

    @tf.custom_gradient
    def convolved(x, w):
        def gradient(dy):
            dx = _forward(dy, w, window, ways.between)
            return dx, _for_kernel(dy, x, w, window, ways.for_kernel)

        return _for_images(x, w, window, shape, ways.between), gradient

    return convolved(images, tf.convert_to_tensor(kernel))


def _forward(images, kernel, window, as_product):
    if as_product:
        return _product(images, kernel, window)
    return tf.nn.conv2d(images, kernel, window.strides, _around(window))


def _for_images(upstream, kernel, window, shape, as_product):
    if as_product:
        return _product_for_images(upstream, kernel, window, tuple(shape[1:3]))
    more = [0, *map(sum, window.padding), 0]
    padded = tf.nn.conv2d_transpose(
        upstream, kernel, tf.add(shape, more), window.strides, "VALID"
    )
    begin = [0, *(first for first, _ in window.padding), 0]
    return tf.slice(padded, begin, shape)


def _for_kernel(images, upstream, kernel, window, as_product):
    if as_product:
        return _product_for_kernel(images, upstream, window)
    return tf.compat.v1.nn.conv2d_backprop_filter(
        tf.pad(images, _around(window)),
        tf.shape(kernel),
        upstream,
        [1, *window.strides, 1],
        "VALID",
    )


@tracing.shared
def _product(images, kernel, window):
    columns = tf.matmul(_rows(images, window), _matrix(kernel))
    height, width = window.outputs(images.shape[1:3])
    return tf.reshape(columns, [-1, height, width, kernel.shape[3]])


@tracing.shared
def _product_for_kernel(images, upstream, window):
    product = tf.matmul(_rows(images, window), _matrix(upstream), transpose_a=True)
    return tf.reshape(product, [*window.size, images.shape[3], upstream.shape[3]])


@tracing.shared
def _product_for_images(upstream, kernel, window, sizes):
    """Adds up what each output says of each of its pixels."""
    rows = tf.matmul(_matrix(upstream), _matrix(kernel), transpose_b=True)
    seen = _seen(window, sizes)
    rows = tf.reshape(rows, [-1, seen.size, kernel.shape[2]])
    rows = tf.pad(rows, [[0, 0], [0, 1], [0, 0]])  # The last: where nobody says.
    said = [tf.gather(rows, each, axis=1) for each in _said(seen, window, sizes)]
    return tf.reshape(tf.add_n(said), [-1, *sizes, kernel.shape[2]])


def _matrix(value):
    """All but the last axis joined."""
    return tf.reshape(value, [-1, value.shape[-1]])


def _rows(images, window):
    """The pixels that each output sees, `[B h w, height width C]`.

    Gathered, not sliced and joined: they are written once.
    """
    padded = tf.pad(images, _around(window))
    _, height, width, channels = padded.shape
    pixels = tf.reshape(padded, [-1, height * width, channels])
    seen = _seen(window, tuple(images.shape[1:3]))
    rows = tf.gather(pixels, seen.ravel(), axis=1)
    return tf.reshape(rows, [-1, seen.shape[1] * channels])


def _around(window):
    """The window's zeros, as `tf.pad` takes them."""
    return [[0, 0], *map(list, window.padding), [0, 0]]


def _seen(window, sizes):
    """Which pixels of padded images each output sees: int32 `[h w, height width]`."""
    rows, columns = (
        np.arange(count)[:, None] * stride + np.arange(taps)
        for count, stride, taps in zip(
            window.outputs(sizes), window.strides, window.size, strict=True
        )
    )
    across = sizes[1] + sum(window.padding[1])
    pixels = rows[:, None, :, None] * across + columns[:, None, :]
    return pixels.reshape(len(rows) * len(columns), -1).astype(np.int32)


def _said(seen, window, sizes):
    """Where pixels stand in `seen`: int32 `[most, H W]`, by the order of their taps.

    `seen.size` where a pixel of that row and column of the image stands in none.
    """
    outputs = len(seen)
    rows, columns = (
        np.arange(taps) // stride
        for taps, stride in zip(window.size, window.strides, strict=True)
    )
    # Taps that see the same pixel differ in these numbers.
    number = (rows[:, None] * (columns[-1] + 1) + columns).ravel()
    (above, below), (left, right) = window.padding
    padded = sizes[0] + above + below, sizes[1] + left + right
    found = np.full((number[-1] + 1, padded[0] * padded[1]), seen.size, np.int32)
    found[np.tile(number, outputs), seen.ravel()] = np.arange(seen.size)
    found = found.reshape(-1, *padded)
    found = found[:, above : above + sizes[0], left : left + sizes[1]]
    return found.reshape(len(found), -1)
