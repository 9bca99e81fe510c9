"""Fréchet distance of two sets of features (FID).

Heusel et al., arXiv:1706.08500, Eq. (6): |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)), of two
normal distributions with the sets' means and covariances. It is biased upwards, the more
the fewer images there are.
"""

import numpy as np

from pan_tf.metrics.intervals import by_variance
from pan_tf.metrics.intervals import jackknife_variance

# Parts of a set that are left out in turn, for the interval.
_PARTS = 10


def frechet_distance(real, generated):
    """The distance, and how sure it is.

    Args:
        real: float `[N, d]`, 3 or more.
        generated: float `[M, d]`, 3 or more.

    Returns:
        `{"mean": the distance, "ci95": [low, high]}`; the interval reaches 1.96 standard
        errors to either side, by the jackknife over ten parts of each set. It says
        nothing of the bias.
    """
    mean = _distance(real, generated)
    variance = 0.0
    for i, features in enumerate((real, generated)):
        parts = np.arange(len(features)) % min(_PARTS, len(features))
        without = []
        for part in range(parts.max() + 1):
            sets = [real, generated]
            sets[i] = features[parts != part]
            without.append(_distance(*sets))
        variance += jackknife_variance(without)
    return by_variance(mean, variance)


def _distance(a, b):
    means = a.mean(0), b.mean(0)
    a, b = (
        _root((each - mean) / np.sqrt(len(each) - 1))
        for each, mean in zip((a, b), means, strict=True)
    )
    # C = a'a and C' = b'b: the trace of (C C')^(1/2) is the sum of the singular values of
    # a b', which stays exact where there are fewer images than features.
    overlap = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    squares = (a**2).sum() + (b**2).sum()
    return float(((means[0] - means[1]) ** 2).sum() + squares - 2.0 * overlap)


def _root(x):
    """r of as few rows as can be, where r'r = x'x."""
    rows, columns = x.shape
    return np.linalg.qr(x, mode="r") if rows > columns else x
