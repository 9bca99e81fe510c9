"""Slow NumPy twins of the metrics, written from their definitions, window by window.

One image at a time: uint8 or float `[H, W, 3]` in [0, 255] -> float. Moments are
taken in two passes (mean first, then products of what is left of it).
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def luma(image):
    red, green, blue = np.moveaxis(np.asarray(image, np.float64), -1, 0)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def psnr(reference, prediction):
    error = np.mean((luma(reference) - luma(prediction)) ** 2)
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


def ssim(reference, prediction):
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    mx, my, vx, vy, cov = _moments(
        luma(reference), luma(prediction), window / window.sum()
    )
    c1, c2 = 2.55**2, 7.65**2
    index = (2 * mx * my + c1) * (2 * cov + c2)
    index /= (mx**2 + my**2 + c1) * (vx + vy + c2)
    return index.mean()


def uqi(reference, prediction):
    window = np.full((8, 8), 1 / 64)
    mx, my, vx, vy, cov = _moments(luma(reference), luma(prediction), window)
    index = np.ones_like(mx)
    lit = mx**2 + my**2 > 0
    textured = vx + vy > 1e-10
    index[lit] = (2 * mx * my)[lit] / (mx**2 + my**2)[lit]
    index[lit & textured] *= (2 * cov)[lit & textured] / (vx + vy)[lit & textured]
    return index.mean()


def vifp(reference, prediction):
    x, y = luma(reference), luma(prediction)
    if np.ptp(x) == 0:
        return float(np.ptp(y) == 0)
    kept = total = 0.0
    for scale, size in enumerate((17, 9, 5, 3)):
        offsets = np.arange(size) - size // 2
        window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * (size / 5) ** 2))
        window /= window.sum()
        if min(x.shape) < size:
            break
        if scale:
            x, y = (_correlate(p, window)[::2, ::2] for p in (x, y))
        if min(x.shape) < size:
            break
        _, _, vx, vy, cov = _moments(x, y, window)
        gain, noise = _regression(vx, vy, cov, 1.0, 1e-10)
        kept += np.log2(1 + gain**2 * vx / (noise + 2)).sum()
        total += np.log2(1 + vx / 2).sum()
    return kept / total


def vif(reference, prediction):
    x, y = luma(reference), luma(prediction)
    if np.ptp(x) == 0:
        return float(np.ptp(y) == 0)
    kept = total = 0.0
    levels = zip(_pyramid(_extend(x)), _pyramid(_extend(y)), (17, 9, 5, 3), strict=True)
    for bands_x, bands_y, window in levels:
        for band_x, band_y in zip(bands_x, bands_y, strict=True):
            height, width = (side // 3 * 3 for side in band_x.shape)
            a, b = band_x[:height, :width], band_y[:height, :width]
            numerator, denominator = _band_bits(a, b, window)
            kept, total = kept + numerator, total + denominator
    return kept / total


def _correlate(plane, window):
    return np.einsum("hwij,ij->hw", sliding_window_view(plane, window.shape), window)


def _moments(x, y, window):
    """Weighted means, variances and covariance in every window."""
    xs, ys = (sliding_window_view(p, window.shape) for p in (x, y))
    mx, my = (np.einsum("hwij,ij->hw", p, window) for p in (xs, ys))
    dx, dy = xs - mx[..., None, None], ys - my[..., None, None]
    products = [
        np.einsum("hwij,hwij,ij->hw", p, q, window)
        for p, q in ((dx, dx), (dy, dy), (dx, dy))
    ]
    return mx, my, *products


def _regression(vx, vy, cov, area, floor):
    gain = cov / (vx + floor)
    noise = (vy - gain * cov) / area
    noise = np.where(vx < floor, vy, noise)
    gain = np.where((vx < floor) | (vy < floor), 0.0, gain)
    noise = np.where(vy < floor, 0.0, noise)
    noise = np.where(gain < 0, vy, noise)
    gain = np.maximum(gain, 0.0)
    return gain, np.maximum(noise, floor)


def _band_bits(x, y, window):
    margin = window // 2
    mirrored = (np.pad(p, margin, mode="reflect")[1:, 1:] for p in (x, y))
    xs, ys = (
        sliding_window_view(p, (window, window))[::3, ::3].reshape(
            x.shape[0] // 3, x.shape[1] // 3, -1
        )
        for p in mirrored
    )
    dx, dy = (p - p.mean(-1, keepdims=True) for p in (xs, ys))
    vx, vy, cov = ((p * q).sum(-1) for p, q in ((dx, dx), (dy, dy), (dx, dy)))
    gain, noise = _regression(vx, vy, cov, window**2, 1e-15)

    blocks = sliding_window_view(x, (3, 3))
    covariance = np.cov(blocks.reshape(-1, 9).T, bias=True)
    cells = blocks[::3, ::3].reshape(-1, 9)
    inverse = np.linalg.pinv(covariance, rcond=1e-10, hermitian=True)
    field = np.einsum("ni,ij,nj->n", cells, inverse, cells) / 9
    field = field.reshape(gain.shape)
    border = int(np.ceil((window - 1) / 2 / 3))
    inner = (slice(border, -border), slice(border, -border))
    gain, noise, field = gain[inner], noise[inner], field[inner]
    kept = total = 0.0
    for eigenvalue in np.maximum(np.linalg.eigvalsh(covariance), 0.0):
        kept += np.log2(1 + gain**2 * field * eigenvalue / (noise + 0.4)).sum()
        total += np.log2(1 + field * eigenvalue / 0.4).sum()
    return kept, total


def _extend(plane):
    """Mirrors up to a multiple of 32, at least 128; corners are constant."""
    (top, bottom), (left, right) = (_margins(side) for side in plane.shape)
    height, width = plane.shape
    rows = [_mirror(i, height) for i in range(-top, height + bottom)]
    columns = [_mirror(i, width) for i in range(-left, width + right)]
    extended = plane[np.ix_(rows, columns)]
    extended[:top, :left] = plane[1, 1]
    extended[:top, left + width :] = plane[1, -2]
    extended[top + height :, :left] = plane[-2, 1]
    extended[top + height :, left + width :] = plane[-2, -2]
    return extended


def _margins(side):
    missing = max(128, int(np.ceil(side / 32)) * 32) - side
    return int(np.floor(missing / 2 + 0.5)), missing - int(np.floor(missing / 2 + 0.5))


def _mirror(i, side):
    if i < 0:
        return min(-i, side - 1)
    return i if i < side else max(2 * (side - 1) - i, 0)


def _pyramid(plane):
    low = _correlate(np.pad(plane, 2, mode="reflect"), LOW_0)
    for level in range(4):
        if level:
            low = _correlate(np.pad(low, 4, mode="reflect"), LOW)[::2, ::2]
        bordered = np.pad(low, 3, mode="reflect")
        yield _correlate(bordered, BAND), _correlate(bordered, BAND.T)


def _whole(text):
    return np.array(
        [[float(number) for number in row.split()] for row in text.split("\n")]
    )


# In full, as pyrtools has them (MIT License, Copyright (c) 2016
# LabForComputationalVision), so that the shipped code's use of symmetry is tested.
LOW_0 = _whole(
    """.00341614 -.01551246 -.03848215 -.01551246 .00341614
-.01551246 .05586982 .15925570 .05586982 -.01551246
-.03848215 .15925570 .40304148 .15925570 -.03848215
-.01551246 .05586982 .15925570 .05586982 -.01551246
.00341614 -.01551246 -.03848215 -.01551246 .00341614"""
)
LOW = 2 * _whole(
    """.00085404 -.00244917 -.00387812 -.00944432 -.00962054 -.00944432 -.00387812 -.00244917 .00085404
-.00244917 -.00523281 -.00661117 .00410600 .01002988 .00410600 -.00661117 -.00523281 -.00244917
-.00387812 -.00661117 .01396746 .03277038 .03981393 .03277038 .01396746 -.00661117 -.00387812
-.00944432 .00410600 .03277038 .06426333 .08169618 .06426333 .03277038 .00410600 -.00944432
-.00962054 .01002988 .03981393 .08169618 .10096540 .08169618 .03981393 .01002988 -.00962054
-.00944432 .00410600 .03277038 .06426333 .08169618 .06426333 .03277038 .00410600 -.00944432
-.00387812 -.00661117 .01396746 .03277038 .03981393 .03277038 .01396746 -.00661117 -.00387812
-.00244917 -.00523281 -.00661117 .00410600 .01002988 .00410600 -.00661117 -.00523281 -.00244917
.00085404 -.00244917 -.00387812 -.00944432 -.00962054 -.00944432 -.00387812 -.00244917 .00085404"""  # noqa: E501
)
BAND = _whole(
    """.00277643 -.00986904 -.01021852 0 .01021852 .00986904 -.00277643
.00496194 -.00893064 -.03075356 0 .03075356 .00893064 -.00496194
.01026699 .01189859 -.08226445 0 .08226445 -.01189859 -.01026699
.01455399 .02755155 -.11732297 0 .11732297 -.02755155 -.01455399
.01026699 .01189859 -.08226445 0 .08226445 -.01189859 -.01026699
.00496194 -.00893064 -.03075356 0 .03075356 .00893064 -.00496194
.00277643 -.00986904 -.01021852 0 .01021852 .00986904 -.00277643"""
)
