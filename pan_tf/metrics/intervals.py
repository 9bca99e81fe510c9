"""How sure a mean is: bootstrap intervals, over the images of a split.

Percentile bootstrap (Efron, 1979): the mean of as many images drawn with replacement, a
few thousand times; the interval holds the middle 95 % of these means. It says how the
mean would vary with other images of the same kind, not with another training seed.
"""

import numpy as np

RESAMPLES = 4000
MIDDLE = (2.5, 97.5)  # Percentiles: the middle 95 %.
_ERRORS = 1.96  # Standard errors to either side that hold as much of a normal variable.
_AT_ONCE = 2**22


def mean_and_interval(values):
    """Mean and 95 % interval of one score an image.

    Always the same resamples for the same number of images: equal scores have equal
    intervals.

    Args:
        values: finite `[n]`.

    Returns:
        `{"mean": float, "ci95": [low, high]}`; `ci95` is None for a single image.
    """
    values = np.asarray(values, np.float64)
    mean, count = float(values.mean()), len(values)
    if count < 2:
        return {"mean": mean, "ci95": None}
    random = np.random.default_rng(0)
    chunk = max(1, _AT_ONCE // count)
    resampled = [
        values[random.integers(0, count, (min(chunk, RESAMPLES - done), count))].mean(1)
        for done in range(0, RESAMPLES, chunk)
    ]
    low, high = np.percentile(np.concatenate(resampled), MIDDLE)
    return {"mean": mean, "ci95": [float(low), float(high)]}


def jackknife_variance(without):
    """Variance of a number by its values without each of n parts: float `[n]`."""
    without = np.asarray(without)
    count = len(without)
    return (count - 1) / count * ((without - without.mean()) ** 2).sum()


def by_variance(mean, variance):
    """A number, and 1.96 standard errors to either side, as of `mean_and_interval`."""
    width = _ERRORS * np.sqrt(variance)
    return {"mean": float(mean), "ci95": [float(mean - width), float(mean + width)]}


def summarized(value):
    """`mean_and_interval` of scores `[n]`; of a set's own mean and interval, these."""
    return mean_and_interval(value) if isinstance(value, np.ndarray) else value


def verdict(difference):
    """+1 or -1 if a `mean_and_interval` of differences lies on one side of 0, else 0."""
    if difference["ci95"] is None:
        return 0
    low, high = difference["ci95"]
    return int(low > 0) - int(high < 0)
