"""Linear filters on planes `[H, W, N]`, and the kernels of the steerable pyramid.

The kernels are those of Simoncelli and Freeman's pyramid with six orientations ("sp5"),
taken from pyrtools (MIT License, Copyright (c) 2016 LabForComputationalVision;
pyramids/filters.py, commit d2ef019), where they stand in full; here only what their
symmetries leave.
"""

import numpy as np
import tensorflow as tf


def correlate(planes, kernel, stride=1):
    """Correlates planes with one kernel, without borders ("valid").

    Args:
        planes: floating `[H, W, N]`.
        kernel: NumPy `[h, w]`.
        stride: pixels between the positions of the kernel.

    Returns:
        `[(H - h) // stride + 1, (W - w) // stride + 1, N]`, dtype of the planes.
    """
    weights = tf.constant(kernel[:, :, None, None], planes.dtype)
    weights = tf.tile(weights, (1, 1, tf.shape(planes)[2], 1))
    strides = (1, stride, stride, 1)
    return tf.nn.depthwise_conv2d(planes[None], weights, strides, "VALID")[0]


def smooth(planes, taps):
    """Correlates columns and rows with `taps` `[n]`: one separable window."""
    return correlate(correlate(planes, taps[:, None]), taps[None, :])


def gaussian(size, sigma):
    """Taps of a Gaussian window that sum to 1: NumPy `[size]`."""
    taps = np.exp(-0.5 * ((np.arange(size) - size // 2) / sigma) ** 2)
    return taps / taps.sum()


def box_sums(planes, size):
    """Sums over the square windows around every pixel, without borders.

    Windows are doubled by adding the planes to themselves shifted: a few additions
    whatever the size, and whole numbers stay exact.

    Args:
        planes: floating `[H, W, N]`.
        size: pixels a side, a power of two.

    Returns:
        `[H - size + 1, W - size + 1, N]`.
    """
    width = 1
    while width < size:
        planes, width = planes[:-width] + planes[width:], 2 * width
    width = 1
    while width < size:
        planes, width = planes[:, :-width] + planes[:, width:], 2 * width
    return planes


def pooled_sums(planes, size, stride):
    """Sums over square windows that lie `stride` apart, without borders.

    By the kernel that pools: a quarter of the time of `box_sums` where windows are few.

    Args:
        planes: floating `[H, W, N]`.
        size: pixels a side.
        stride: pixels between windows.

    Returns:
        `[(H - size) // stride + 1, (W - size) // stride + 1, N]`.
    """
    columns = tf.nn.avg_pool2d(planes[None], (size, 1), (stride, 1), "VALID")
    means = tf.nn.avg_pool2d(columns, (1, size), (1, stride), "VALID")
    return size**2 * means[0]


def reflect(planes, margin):
    """Mirrors borders about the edge pixel, which is not repeated."""
    return tf.pad(planes, ((margin, margin), (margin, margin), (0, 0)), "REFLECT")


def pyramid(planes, levels):
    """The two oriented bands of the steerable pyramid that VIF uses.

    Args:
        planes: floating `[H, W, N]`.
        levels: how many.

    Returns:
        A list of `[h, w, 2 N]`, the finest level first, first all planes' one band, then
        all planes' other; each level halves h and w.
    """
    low = correlate(reflect(planes, 2), _LOW_0)
    bands = []
    for level in range(levels):
        if level:
            low = correlate(reflect(low, 4), _LOW, stride=2)
        bordered = reflect(low, 3)
        both = [correlate(bordered, kernel) for kernel in (_BAND, _BAND.T)]
        bands.append(tf.concat(both, axis=-1))
    return bands


def _mirror(quarter):
    """Mirrors a kernel's upper left quarter about its last row and column."""
    half = np.concatenate([quarter, quarter[-2::-1]], axis=0)
    return np.concatenate([half, half[:, -2::-1]], axis=1)


_LOW_0 = _mirror(
    np.array(
        [
            [0.00341614, -0.01551246, -0.03848215],
            [-0.01551246, 0.05586982, 0.15925570],
            [-0.03848215, 0.15925570, 0.40304148],
        ]
    )
)
_LOW = 2 * _mirror(
    np.array(
        [
            [0.00085404, -0.00244917, -0.00387812, -0.00944432, -0.00962054],
            [-0.00244917, -0.00523281, -0.00661117, 0.00410600, 0.01002988],
            [-0.00387812, -0.00661117, 0.01396746, 0.03277038, 0.03981393],
            [-0.00944432, 0.00410600, 0.03277038, 0.06426333, 0.08169618],
            [-0.00962054, 0.01002988, 0.03981393, 0.08169618, 0.10096540],
        ]
    )
)
# Odd from left to right; the other orientation is its transpose.
_HALF = np.array(
    [
        [0.00277643, -0.00986904, -0.01021852],
        [0.00496194, -0.00893064, -0.03075356],
        [0.01026699, 0.01189859, -0.08226445],
        [0.01455399, 0.02755155, -0.11732297],
        [0.01026699, 0.01189859, -0.08226445],
        [0.00496194, -0.00893064, -0.03075356],
        [0.00277643, -0.00986904, -0.01021852],
    ]
)
_BAND = np.concatenate([_HALF, np.zeros((7, 1)), -_HALF[:, ::-1]], axis=1)
