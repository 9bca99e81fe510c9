"""Visual information fidelity: how much of the reference's information is left.

`vif` is Sheikh and Bovik's original (2006), in the wavelet domain, as vifvec of MeTriX
MuX; `vifp` their later, faster one in the pixel domain, which most Python libraries call
VIF. Both are a ratio of two sums of mutual information (in bits), both may exceed 1 (a
raise of contrast adds information), both ignore a constant offset, and in both the order
of the arguments matters. Conventions as in `functional`.

A flat reference holds no information, and the reference code divides 0 by 0; of one
that is flat but for a pixel or two it gives anything up to 10^12. Here the ratio of a
reference that holds less than one bit in all is 1 if the prediction is flat too, or
equal, else 0.
"""

import warnings

import numpy as np
import tensorflow as tf

from pan_tf.metrics.full_reference import filters
from pan_tf.metrics.full_reference.planes import centered
from pan_tf.metrics.full_reference.planes import channels
from pan_tf.metrics.full_reference.planes import luma

_WINDOWS = (17, 9, 5, 3)
_SMALLEST, _SENSIBLE = 17, 41
_LEAST_BITS = 1.0


def vif(reference, prediction):
    """Visual information fidelity of luma, wavelet domain: float32 `[B]`, at least 0.

    Steerable pyramid of four levels, two of its six orientations, vector Gaussian scale
    mixtures of 3 x 3 blocks, noise variance 0.4. Images must be at least 17 px a side;
    below 41 px most of what is measured is the border, which a warning says. Else
    arguments and errors are those of `psnr`.
    """
    x, y, blank = _planes(reference, prediction)
    planes = tf.concat([x, y], axis=-1)
    height, width = planes.shape[:2]
    order = _extension(height, width)
    if order.shape != (height, width):
        planes = tf.reshape(planes, (height * width, -1))
        planes = tf.reshape(tf.gather(planes, order.ravel()), (*order.shape, -1))
    kept, total = 0.0, 0.0
    for window, bands in zip(_WINDOWS, filters.pyramid(planes, 4), strict=True):
        height, width = (side - side % 3 for side in bands.shape[:2])
        # Planes of x, y, x and y: the two bands of an image are planes like others.
        parts = tf.split(bands[:height, :width], 4, axis=-1)
        x, y = tf.concat(parts[::2], axis=-1), tf.concat(parts[1::2], axis=-1)
        gain, noise = _channel(x, y, window)
        field, eigenvalues = _mixture(x)
        # Without the cells whose window reaches over the border.
        border = -(-(window - 1) // 2 // 3)
        inner = slice(border, -border)
        gain, noise, field = (t[inner, inner] for t in (gain, noise, field))
        signal = field[:, :, None] * eigenvalues
        gain_to_noise = (gain**2 / (noise + 0.4))[:, :, None]
        # A logarithm of nine factors costs a ninth of nine logarithms.
        with_noise = tf.reduce_prod(1.0 + gain_to_noise * signal, axis=2)
        alone = tf.reduce_prod(1.0 + signal / 0.4, axis=2)
        kept += tf.add_n(tf.split(_bits(with_noise), 2))
        total += tf.add_n(tf.split(_bits(alone), 2))
    return _ratio(kept, total, blank)


def vifp(reference, prediction):
    """Visual information fidelity of luma, pixel domain: float32 `[B]`, at least 0.

    vifp_mscale: Gaussian windows of 17, 9, 5 and 3 px on four scales, noise variance 2.
    Images must be at least 17 px a side; below 41 px only the scales that fit count,
    which a warning says. Else arguments and errors are those of `psnr`.
    """
    x, y, blank = _planes(reference, prediction)
    kept, total = 0.0, 0.0
    for scale, size in enumerate(_WINDOWS):
        taps = filters.gaussian(size, size / 5)
        if scale and min(x.shape[:2]) >= size:
            both = filters.smooth(tf.concat([x, y], axis=-1), taps)
            x, y = tf.split(both[::2, ::2], 2, axis=-1)
        if min(x.shape[:2]) < size:
            break
        moments = tf.concat([x, y, x * x, y * y, x * y], axis=-1)
        moments = tf.split(filters.smooth(moments, taps), 5, axis=-1)
        gain, noise, variance = _regression(*moments, floor=1e-10)
        kept += _bits(1.0 + gain**2 * variance / (noise + 2.0))
        total += _bits(1.0 + variance / 2.0)
    return _ratio(kept, total, blank)


def _planes(reference, prediction):
    """Centred luma of both, and whether the prediction is flat or equal, bool `[B]`."""
    x, y = channels(reference, prediction, smallest=_SMALLEST)
    height, width = x.shape[1:3]
    if min(height, width) < _SENSIBLE:
        warnings.warn(
            f"VIF of images below {_SENSIBLE} px a side says little: {height} x {width}.",
            stacklevel=3,
        )
    x, y = luma(x), luma(y)
    flat = tf.reduce_max(y, axis=(0, 1)) - tf.reduce_min(y, axis=(0, 1)) < 1e-9
    equal = tf.reduce_all(tf.equal(x, y), axis=(0, 1))
    # Responses to a constant cancel, or are zero; without it they lose no digits.
    return centered(x)[0], centered(y)[0], (flat, equal)


def _ratio(kept, total, blank):
    flat, equal = blank
    empty = total < _LEAST_BITS
    ratio = kept / tf.where(empty, tf.ones_like(total), total)
    one, zero = tf.ones_like(ratio), tf.zeros_like(ratio)
    ratio = tf.where(empty, tf.where(flat, one, zero), ratio)
    return tf.cast(tf.where(equal, one, ratio), tf.float32)


def _bits(ratio):
    """Sum of log2 over the plane: `[N]`."""
    return tf.reduce_sum(tf.math.log(ratio), axis=(0, 1)) / np.log(2.0)


def _regression(mean_x, mean_y, xx, yy, xy, floor, area=1.0):
    """y = gain x + noise in each window, from its moments.

    Args:
        mean_x, mean_y, xx, yy, xy: window sums of x, y and their products, or means.
        floor: below which a variance is none, and the least noise.
        area: pixels that the sums are over; 1 for means.

    Returns:
        (gain, variance of the noise, variance of x); the last times `area`.
    """
    variance_x = tf.maximum(xx - mean_x**2 / area, 0.0)
    variance_y = tf.maximum(yy - mean_y**2 / area, 0.0)
    covariance = xy - mean_x * mean_y / area
    gain = covariance / (variance_x + floor)
    noise = (variance_y - gain * covariance) / area
    # The branches of the reference code; what is not explained is noise.
    unexplained = (variance_x < floor) | (gain < 0.0)
    zero = tf.zeros_like(gain)
    gain = tf.where(unexplained | (variance_y < floor), zero, gain)
    noise = tf.where(unexplained, variance_y, noise)
    noise = tf.where(variance_y < floor, zero, noise)
    return gain, tf.maximum(noise, floor), variance_x


def _channel(x, y, window):
    """The distortion channel at the middle of each 3 x 3 cell: (gain, noise)."""
    both = filters.reflect(tf.concat([x, y], axis=-1), window // 2)[1:, 1:]
    x, y = tf.split(both, 2, axis=-1)
    moments = (both, both**2, x * y)
    sums = tf.concat([filters.pooled_sums(m, window, 3) for m in moments], axis=-1)
    sums = tf.split(sums, 5, axis=-1)
    gain, noise, _ = _regression(*sums, floor=1e-15, area=float(window**2))
    return gain, noise


def _mixture(x):
    """The Gaussian scale mixture of a band of the reference, `[h, w, N]`.

    Returns:
        Field of variances at each 3 x 3 cell, `[h / 3, w / 3, N]`, and eigenvalues of
        the covariance of blocks, `[9, N]`.
    """
    height, width = x.shape[:2]
    x = tf.transpose(x, (2, 0, 1))
    shifts = [(i, j) for i in range(3) for j in range(3)]
    blocks = tf.stack(
        [x[:, i : height - 2 + i, j : width - 2 + j] for i, j in shifts], axis=1
    )
    cells = tf.reshape(blocks[:, :, ::3, ::3], (-1, 9, height * width // 9))
    blocks = tf.reshape(blocks, (-1, 9, (height - 2) * (width - 2)))
    mean = tf.reduce_mean(blocks, axis=2, keepdims=True)
    covariance = tf.matmul(blocks, blocks, transpose_b=True) / blocks.shape[2]
    # One pass: bands have next to no mean.
    covariance -= tf.matmul(mean, mean, transpose_b=True)
    eigenvalues, vectors = tf.linalg.eigh(covariance)
    # Texture along one axis only has a singular covariance: its pseudo-inverse.
    used = eigenvalues > 1e-10 * eigenvalues[:, -1:]
    eigenvalues = tf.where(used, eigenvalues, tf.zeros_like(eigenvalues))
    inverse = tf.math.divide_no_nan(tf.ones_like(eigenvalues), eigenvalues)
    # b' K^-1 b = |diag(l)^-1/2 V' b|^2.
    whitened = tf.sqrt(inverse)[:, :, None] * tf.matmul(vectors, cells, transpose_a=True)
    field = tf.reduce_sum(whitened**2, axis=1) / 9.0
    field = tf.reshape(tf.transpose(field), (height // 3, width // 3, -1))
    return field, tf.transpose(eigenvalues)


def _extension(height, width):
    """Which pixel stands where after padding: int `[H, W]`, indices into H * W pixels.

    Up to a multiple of 32, at least 128; borders are mirrored, or where an image is too
    small for that repeat the far edge. The four corner blocks hold the pixel that lies
    one step in diagonally from that corner of the image: so has the reference code.
    """
    rows, corner_rows = _extended_axis(height)
    columns, corner_columns = _extended_axis(width)
    order = rows[:, None] * width + columns
    corner = corner_rows[:, None] * width + corner_columns
    in_corner = (corner_rows[:, None] >= 0) & (corner_columns >= 0)
    return np.where(in_corner, corner, order)


def _extended_axis(size):
    """(index of each place, index of the corner's pixel or -1 inside the image)."""
    extended = max(128, -(-size // 32) * 32)
    before = (extended - size + 1) // 2
    place = np.arange(extended) - before
    index = np.where(place < 0, -place, place)
    index = np.where(place >= size, 2 * (size - 1) - place, index)
    corner = np.full(extended, -1)
    corner[place < 0] = 1
    corner[place >= size] = size - 2
    return np.clip(index, 0, size - 1), corner
