"""PSNR, SSIM and UQI, one number an image.

Every metric of this package takes (reference, prediction), uint8 or floating
`[B, H, W, C]` in [0, 255] or uint16 in [0, 65535], and gives float32 `[B]`. Compared is
luma, of RGB Y = .299 R + .587 G + .114 B, unrounded, as the MATLAB bundle MeTriX
MuX does, with which the papers of this field are scored; the `_rgb` variants compare the
channels. Pure TensorFlow: they run eagerly, in a `tf.function`, under a strategy. Wrong
shapes, dtypes and ranges are refused; see `planes.channels`.

Precision: sums that cancel are taken in float64, or in float32 after the mean of the
image has been taken off; means of whole planes are float64 from row to row. Up to 2048 px
values are within 1e-5 of float64, PSNR within 1e-5 dB (tests/test_precision.py).
"""

import tensorflow as tf

from pan_tf import images
from pan_tf.metrics.full_reference import filters
from pan_tf.metrics.full_reference.planes import centered
from pan_tf.metrics.full_reference.planes import channels
from pan_tf.metrics.full_reference.planes import luma
from pan_tf.metrics.full_reference.planes import means


def psnr(reference, prediction):
    """Peak signal-to-noise ratio of luma in dB; infinite for equal images.

    Args:
        reference: `[B, H, W, C]`, uint8 or floating in [0, 255], or uint16 in [0, 65535].
        prediction: of that shape; its dtype may be another of these.

    Returns:
        float32 `[B]`, one number an image.

    Raises:
        TypeError: if a dtype is none of these.
        ValueError: if shapes differ or do not fit, or values lie outside their range or,
            being fractions, wholly inside [0, 1].
        tf.errors.InvalidArgumentError: if values lie outside their range in a graph.

    >>> import numpy as np
    >>> black = np.zeros((1, 16, 16, 3), np.uint8)
    >>> round(float(psnr(black, black + 16)[0]), 2)
    24.05
    """
    x, y = (luma(rgb) for rgb in channels(reference, prediction))
    return _psnr(tf.reduce_mean((x - y) ** 2, axis=(0, 1)))


def psnr_rgb(reference, prediction):
    """`psnr` of the error over all channels; arguments and errors are those of `psnr`."""
    x, y = channels(reference, prediction)
    return _psnr(tf.reduce_mean((x - y) ** 2, axis=(1, 2, 3)))


def ssim(reference, prediction):
    """Structural similarity of luma, in [-1, 1]; 1 for equal images.

    Wang's ssim_index: 11 x 11 Gaussian window of sigma 1.5, K = (0.01, 0.03), biased
    moments, no down-sampling, borders left out. Images must be at least 11 px a side.
    Else arguments, what is returned and errors are those of `psnr`.

    >>> import numpy as np
    >>> grey = np.full((1, 16, 16, 3), 128, np.uint8)
    >>> round(float(ssim(grey, grey)[0]), 4)
    1.0
    """
    pair = channels(reference, prediction, tf.float32, smallest=11)
    return _ssim(*(luma(rgb) for rgb in pair))


def ssim_rgb(reference, prediction):
    """`ssim`, mean over the channels; arguments and errors are those of `ssim`."""
    pair = channels(reference, prediction, tf.float32, smallest=11)
    # All channels of all images are planes.
    planes = [tf.concat(tf.unstack(pixels, axis=-1), axis=0) for pixels in pair]
    x, y = (tf.transpose(p, (1, 2, 0)) for p in planes)
    count = pair[0].shape[-1]
    return tf.reduce_mean(tf.reshape(_ssim(x, y), (count, -1)), axis=0)


def uqi(reference, prediction):
    """Universal quality index of luma, in [-1, 1]; 1 for equal images.

    Wang and Bovik's img_qi: 8 x 8 uniform window, stride 1, borders left out; mean of
    4 cov mx my / ((vx + vy) (mx^2 + my^2)). Where both windows are flat it is
    2 mx my / (mx^2 + my^2), and 1 if both are black. Images must be at least 8 px a side.
    Else arguments, what is returned and errors are those of `psnr`.

    The reference code tests for flat windows with rounding noise in them, and divides
    noise by noise where luma is no whole number; here sums of 1000 Y are exact.
    """
    pair = channels(reference, prediction, smallest=8)
    x, y = (luma(rgb, unit=1000) for rgb in pair)
    n = 64.0
    sum_x, sum_y, squares, products = (
        filters.box_sums(plane, 8) for plane in (x, y, x * x + y * y, x * y)
    )
    # Times n^2, in units of 1000 Y, as in img_qi.
    mean_product, mean_squares = sum_x * sum_y, sum_x**2 + sum_y**2
    covariance, variance = n * products - mean_product, n * squares - mean_squares
    # 1e-9 a pixel: above the rounding of fractions, below the smallest true variance
    # of an 8-bit window, 1.5e-8.
    flat = variance < 1e-9 * n**2 * 1000**2
    black = mean_squares <= 0.0
    one = tf.ones_like(variance)
    structure = tf.where(flat, one, 2.0 * covariance / tf.where(flat, one, variance))
    luminance = 2.0 * mean_product / tf.where(black, one, mean_squares)
    index = tf.where(flat & black, one, structure * luminance)
    return tf.cast(tf.reduce_mean(index, axis=(0, 1)), tf.float32)


def _psnr(squared_error):
    decibel = (
        10.0
        * tf.math.log(images.PEAK**2 / squared_error)
        / tf.math.log(tf.constant(10.0, tf.float64))
    )
    return tf.cast(decibel, tf.float32)


def _ssim(x, y):
    """SSIM of float32 planes `[H, W, N]`: float32 `[N]`."""
    (x, center_x), (y, center_y) = centered(x), centered(y)
    moments = tf.concat([x, y, x * x + y * y, x * y], axis=-1)
    moments = filters.smooth(moments, filters.gaussian(11, 1.5))
    mean_x, mean_y, squares, products = tf.split(moments, 4, axis=-1)
    variances = squares - mean_x**2 - mean_y**2
    covariance = products - mean_x * mean_y
    mean_x, mean_y = mean_x + center_x, mean_y + center_y
    c1, c2 = (0.01 * images.PEAK) ** 2, (0.03 * images.PEAK) ** 2
    luminance = (2.0 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2.0 * covariance + c2) / (variances + c2)
    return tf.cast(means(luminance * structure), tf.float32)
