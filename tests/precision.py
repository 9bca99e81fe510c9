"""How far float32 is from float64 where large planes are added up.

    python -m tests.precision THREADS SIZE BATCH        (prints JSON)

The references are NumPy and SciPy in float64, the same formulas on whole planes.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from scipy import ndimage

from pan_tf import metrics
from pan_tf.layers import BatchNormalization
from pan_tf.layers import InstanceNormalization


def pair(size, batch):
    """(reference, prediction), uint8 `[batch, size, size, 3]`: blocks, texture, noise."""
    random = np.random.default_rng(size)
    blocks = random.normal(120.0, 30.0, (batch, size // 8, size // 8, 3))
    blocks = blocks.repeat(8, axis=1).repeat(8, axis=2)
    reference = as_pixels(blocks + random.normal(0.0, 10.0, blocks.shape))
    return reference, as_pixels(reference + random.normal(0.0, 12.0, blocks.shape))


def as_pixels(values):
    return np.clip(values.round(), 0, 255).astype("uint8")


def luma(pixels):
    return pixels.astype(float) @ np.array([0.299, 0.587, 0.114])


def smooth(plane, taps):
    """A separable window, without borders."""
    for axis in (0, 1):
        plane = ndimage.correlate1d(plane, taps, axis)
    border = len(taps) // 2
    return plane[border:-border, border:-border]


def gaussian(size, sigma):
    taps = np.exp(-0.5 * ((np.arange(size) - size // 2) / sigma) ** 2)
    return taps / taps.sum()


def psnr(x, y):
    return 10.0 * np.log10(255.0**2 / ((luma(x) - luma(y)) ** 2).mean())


def psnr_rgb(x, y):
    return 10.0 * np.log10(255.0**2 / ((x.astype(float) - y) ** 2).mean())


def plane_ssim(x, y):
    taps = gaussian(11, 1.5)
    mean_x, mean_y, xx, yy, xy = (smooth(p, taps) for p in (x, y, x * x, y * y, x * y))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    covariance, variances = xy - mean_x * mean_y, xx - mean_x**2 + yy - mean_y**2
    return (luminance * (2 * covariance + c2) / (variances + c2)).mean()


def ssim(x, y):
    return plane_ssim(luma(x), luma(y))


def ssim_rgb(x, y):
    x, y = x.astype(float), y.astype(float)
    return np.mean([plane_ssim(x[..., c], y[..., c]) for c in range(3)])


def uqi(x, y):
    x, y = luma(x), luma(y)

    def sums(plane):
        total = np.pad(plane.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        return total[8:, 8:] - total[:-8, 8:] - total[8:, :-8] + total[:-8, :-8]

    sum_x, sum_y, squares, products = (sums(p) for p in (x, y, x * x + y * y, x * y))
    both = sum_x * sum_y
    squared = sum_x**2 + sum_y**2
    structure = 2 * (64 * products - both) / (64 * squares - squared)
    return (structure * 2 * both / squared).mean()


def vifp(x, y):
    x, y = luma(x), luma(y)
    kept = total = 0.0
    for scale, size in enumerate((17, 9, 5, 3)):
        taps = gaussian(size, size / 5)
        if scale:
            x, y = (smooth(p, taps)[::2, ::2] for p in (x, y))
        mean_x, mean_y, xx, yy, xy = (
            smooth(p, taps) for p in (x, y, x * x, y * y, x * y)
        )
        variance_x = np.maximum(xx - mean_x**2, 0.0)
        variance_y = np.maximum(yy - mean_y**2, 0.0)
        covariance = xy - mean_x * mean_y
        gain = covariance / (variance_x + 1e-10)
        noise = variance_y - gain * covariance
        noise = np.where(gain < 0.0, variance_y, noise)
        gain = np.maximum(gain, 0.0)
        kept += np.log2(1 + gain**2 * variance_x / (np.maximum(noise, 1e-10) + 2)).sum()
        total += np.log2(1 + variance_x / 2).sum()
    return kept / total


REFERENCES = {f.__name__: f for f in (psnr, psnr_rgb, ssim, ssim_rgb, uqi, vifp)}


def metric_errors(size, batch):
    """Name of a metric -> largest difference to its float64 twin over a batch."""
    reference, prediction = pair(size, batch)
    return {
        name: max(
            abs(float(value) - twin(x, y))
            for value, x, y in zip(
                getattr(metrics, name)(reference, prediction),
                reference,
                prediction,
                strict=True,
            )
        )
        for name, twin in REFERENCES.items()
    }


def normalization_errors(size, batch):
    """Kind of normalization -> largest error, in standard deviations of its input."""
    random = np.random.default_rng(size)
    x = random.normal(3.0, 1.0, (batch, size, size, 2)).astype("float32")
    exact, tensor = x.astype(float), tf.constant(x)

    def error(found, axes):
        mean, variance = exact.mean(axes, keepdims=True), exact.var(axes, keepdims=True)
        expected = (exact - mean) / np.sqrt(variance + 1e-5)
        return float(np.abs(np.array(found) - expected).max())

    of_batch, of_image = (0, 1, 2), (1, 2)
    moving = BatchNormalization(epsilon=1e-5)
    moving.build(x.shape)
    moving.moving_mean.assign(exact.mean(of_batch))
    moving.moving_variance.assign(exact.var(of_batch))
    batches = BatchNormalization(epsilon=1e-5)
    images = BatchNormalization(epsilon=1e-5, statistics="image")
    return {
        "batch, training": error(batches(tensor, training=True), of_batch),
        "batch, moving averages": error(moving(tensor), of_batch),
        "batch, each image's own": error(images(tensor), of_image),
        "instance": error(InstanceNormalization()(tensor), of_image),
    }


if __name__ == "__main__":
    threads, size, batch = map(int, sys.argv[1:])
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    found = metric_errors(size, batch) | normalization_errors(size, batch)
    print(json.dumps(found))
