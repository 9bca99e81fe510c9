"""Kernel distance of two sets of features (KID).

Binkowski et al., arXiv:1801.01401: the squared maximum mean discrepancy of features under
the kernel k(a, b) = (a . b / d + 1)^3, unbiased, so that it may be below 0. Published
numbers are of Inception's features.
"""

import numpy as np

from pan_tf.metrics.intervals import by_variance
from pan_tf.metrics.intervals import jackknife_variance


def unbiased(real, generated):
    """The unbiased estimate of the squared discrepancy, and how sure it is.

    Args:
        real: float `[N, d]`, 3 or more.
        generated: float `[M, d]`, 3 or more.

    Returns:
        `{"mean": the estimate, "ci95": [low, high]}`; the interval reaches 1.96 standard
        errors to either side, by the jackknife over images of both sets.
    """
    a, b, between = (
        _kernel(*pair)
        for pair in ((real, real), (generated, generated), (real, generated))
    )
    mean = _estimate(_sums(a), _sums(b), between.sum(), *between.shape)
    variance = 0.0
    for own, other, cross in ((a, b, between), (b, a, between.T)):
        n, m = cross.shape
        # Without image i: its row and column are gone.
        rows = own.sum(1) - np.diag(own)
        left = _sums(own) - 2.0 * rows
        without = _estimate(left, _sums(other), between.sum() - cross.sum(1), n - 1, m)
        variance += jackknife_variance(without)
    return by_variance(mean, variance)


def _estimate(within, other, between, n, m):
    return within / (n * (n - 1)) + other / (m * (m - 1)) - 2.0 * between / (n * m)


def _sums(kernel):
    """Sum over all pairs of different images, in both orders."""
    return kernel.sum() - np.trace(kernel)


def _kernel(a, b):
    return (a @ b.T / a.shape[1] + 1.0) ** 3
