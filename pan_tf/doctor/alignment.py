"""Misaligned pairs: by how much is B shifted against A, and how sure is that?

An `Aligner` learns from the data set itself what one side says of the other
(`cross_prediction`), in both directions, then correlates prediction and truth at all
shifts within its reach. The evidence for a shift is a log-likelihood: `gain`, in nats, is
how much better the best shift explains the pair than the shift that all pairs share.
Pairs without texture gain nothing; a shift along the only edge cannot be seen.

A shift (dy, dx) says where A's content lies in B: `b[y + dy, x + dx]` shows what
`a[y, x]` shows. Shifts are in pixels of the images as given. NumPy and Pillow only.
"""

import dataclasses
import functools

import numpy as np
from PIL import Image

from pan_tf.doctor import cross_prediction

REACH = 20  # Largest shift looked for, in working pixels.
WORKING_SIZE = 192  # The longer side is reduced to this; a 256 px image to 3/4.
MIN_GAIN = 5.0
MIN_SHIFT = 3.0  # Native pixels, and at least 1.5 working ones.
SUBSET = 200  # Pairs to learn from.
LEAST_PAIRS = 20
# Nats, the median of all pairs (`peak` in pairs.csv). Unrelated sides reach 13 by the
# best of 1681 shifts; aerial photos and their maps have 76, edges and shoes 408.
LEAST_PEAK = 15.0
_LEAST_SIDE = 64  # Working pixels.
_POINTS = 500  # Of each pair, to find the common shift by.
_SHIFTS = np.arange(-REACH, REACH + 1)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """The shift of one pair.

    Attributes:
        shift: (dy, dx), native pixels.
        gain: log-likelihood of that shift over the common one, nats.
        peak: log-likelihood of that shift over "the two sides are unrelated", nats.
        misaligned: moved by `MIN_SHIFT` or more from the common shift, with `MIN_GAIN`
            or more.
    """

    shift: tuple
    gain: float
    peak: float
    misaligned: bool


class Aligner:
    """Learns from pairs, then estimates the shift of each.

    Args:
        pairs: sequence of (a, b), uint8 `[H, W, 3]` of one size each; of more than
            `SUBSET` a random subset is used.
        seed: of that subset and of what is drawn from it.

    Attributes:
        common_shift: (dy, dx) that all pairs share, native pixels.
    """

    def __init__(self, pairs, seed=0):
        random = np.random.default_rng(seed)
        chosen = random.permutation(len(pairs))[:SUBSET]
        planes, scales = [], []
        for i in chosen:
            a, b = pairs[i]
            scales.append(_scale(a.shape))
            planes.append(tuple(_working_planes(side) for side in (a, b)))
        dy, dx = _common_shift(random, planes[:80])
        aligned = [_shared_part(a, b, dy, dx) for a, b in planes]
        self._forward = cross_prediction.Predictor(random, aligned)
        self._backward = cross_prediction.Predictor(random, [(b, a) for a, b in aligned])
        self._calibrate([self._surfaces(a, b) for a, b in planes[:80]])
        self.common_shift = tuple(float(s) for s in self._vertex / np.median(scales))

    def estimate(self, a, b):
        """The shift of one pair, uint8 `[H, W, 3]` twice: `Estimate`."""
        scale = _scale(a.shape)
        evidence = self._combined(self._surfaces(_working_planes(a), _working_planes(b)))
        y, x = np.unravel_index(np.argmax(evidence), evidence.shape)
        common = np.multiply(self.common_shift, scale)
        home = np.hypot(_SHIFTS[:, None] - common[0], _SHIFTS - common[1])
        here = np.hypot(_SHIFTS[:, None] - _SHIFTS[y], _SHIFTS - _SHIFTS[x])
        far = (here > 5) & (home > 5)
        noise = max(np.sqrt((evidence[far] ** 2).mean()), self._least_noise)
        z = np.maximum(evidence, 0) / noise
        gain = 0.5 * (z[y, x] ** 2 - z[home <= max(2 * scale, 1)].max() ** 2)
        shift = _vertex(evidence, y, x)
        moved = np.hypot(*np.subtract(shift, common))
        return Estimate(
            shift=tuple(float(s / scale) for s in shift),
            gain=float(gain),
            peak=float(0.5 * z[y, x] ** 2),
            misaligned=bool(gain >= MIN_GAIN and moved >= max(MIN_SHIFT * scale, 1.5)),
        )

    def _surfaces(self, a, b):
        """Correlation at each shift, four channels each way: `[8, 2r+1, 2r+1]`."""
        forward = _correlations(self._forward, a, b)
        backward = _correlations(self._backward, b, a)[:, ::-1, ::-1]
        return np.concatenate([forward, backward])

    def _calibrate(self, surfaces):
        """Learns how much each channel is worth, the noise, and the common shift."""
        deviations = [np.sqrt((s**2).mean((1, 2))) for s in surfaces]
        self._least_deviation = 0.5 * np.median(deviations, axis=0) + 1e-6
        scaled = np.stack([self._scaled(s) for s in surfaces])
        usual = np.median(scaled, axis=0)
        y, x = np.unravel_index(usual.sum(0).argmax(), usual[0].shape)
        far = np.hypot(_SHIFTS[:, None] - _SHIFTS[y], _SHIFTS - _SHIFTS[x]) > 6
        # Fisher's discriminant of the peak against the noise beside it.
        noise = sum(np.cov(s[:, far]) for s in scaled) / len(scaled)
        weights = np.linalg.solve(noise + 0.05 * np.eye(len(noise)), usual[:, y, x])
        self._weights = np.maximum(weights, 0) / np.abs(weights).max()
        spreads = [np.tensordot(self._weights, s, 1)[far].std() for s in scaled]
        self._least_noise = 0.5 * np.median(spreads) + 1e-6
        self._vertex = np.array(_vertex(np.tensordot(self._weights, usual, 1), y, x))

    def _scaled(self, surfaces):
        deviation = np.sqrt((surfaces**2).mean((1, 2)))
        return surfaces / np.maximum(deviation, self._least_deviation)[:, None, None]

    def _combined(self, surfaces):
        return np.tensordot(self._weights, self._scaled(surfaces), 1)


def is_large_enough(size):
    """Whether a side of (height, width) can be searched for shifts."""
    return min(size) * _scale(size) >= _LEAST_SIDE


def _scale(size):
    return min(1.0, WORKING_SIZE / max(size[:2]))


def _working_planes(pixels):
    height, width = pixels.shape[:2]
    scale = _scale(pixels.shape)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = Image.fromarray(pixels).resize(size, Image.Resampling.BOX)
    return cross_prediction.color_planes(pixels)


def _correlations(predictor, a, b):
    """Normalised correlation of prediction and truth at each shift: `[4, 2r+1, 2r+1]`."""
    prediction, truth = predictor.whitened(cross_prediction.features(a), b)
    height, width = truth.shape[1:]
    size = height + REACH, width + REACH
    spectrum = np.conj(np.fft.rfft2(prediction, size)) * np.fft.rfft2(truth, size)
    products = np.fft.irfft2(spectrum, size)[:, _SHIFTS][:, :, _SHIFTS]
    energy = np.stack([_overlap_sums(p**2) for p in prediction])
    energy = energy * np.stack([_overlap_sums(t**2) for t in truth])[:, ::-1, ::-1]
    floor = predictor.least_energy[:, None, None] * height * width
    return products / (np.sqrt(np.maximum(energy, 0)) + floor + 1e-6)


def _overlap_sums(plane):
    """Sum of a plane over its overlap with itself at each shift: `[2r+1, 2r+1]`."""
    height, width = plane.shape
    sums = np.zeros((height + 1, width + 1))
    sums[1:, 1:] = plane.cumsum(0, dtype=np.float64).cumsum(1)
    top, bottom = np.maximum(0, -_SHIFTS), np.minimum(height, height - _SHIFTS)
    left, right = np.maximum(0, -_SHIFTS), np.minimum(width, width - _SHIFTS)
    rows = sums[bottom] - sums[top]
    return rows[:, right] - rows[:, left]


def _common_shift(random, planes):
    """The shift at which each side explains the other best: (dy, dx), working pixels.

    Fitting at one shift and correlating would stay at that shift. So the fit is solved
    anew at each: the moments of the features are those of all shifts, only their
    products with the targets change.
    """
    problems = []
    for sign, sides in ((1, planes), (-1, [(b, a) for a, b in planes])):
        samples, places, others = [], [], []
        for a, b in sides:
            found = cross_prediction.features(a)
            y, x = (random.integers(REACH, n - REACH, _POINTS) for n in found.shape[1:])
            samples.append(found[:, y, x].T)
            places.append((y, x))
            others.append(cross_prediction.targets(b))
        samples = np.concatenate(samples)
        design = cross_prediction.Basis(random, samples)(samples)
        inverse = np.linalg.inv(cross_prediction.ridge_gram(design))
        problems.append((sign, design, inverse, places, others))

    @functools.cache
    def explained(dy, dx):
        total = 0.0
        for sign, design, inverse, places, others in problems:
            y = np.concatenate(
                [
                    other[:, v + sign * dy, u + sign * dx].T
                    for other, (v, u) in zip(others, places, strict=True)
                ]
            )
            y = y - y.mean(0)
            moments = (design.T @ y).astype(np.float64)
            fitted = ((inverse @ moments) * moments).sum(0)
            left = 1 - fitted / ((y * y).sum(0) + 1e-6)
            total -= np.log(np.maximum(left, 1e-3)).sum()
        return total

    best = 0, 0
    for step, reach in ((4, REACH), (1, 3)):
        offsets = range(-reach, reach + 1, step)
        around = [(best[0] + i, best[1] + j) for i in offsets for j in offsets]
        within = [s for s in around if max(map(abs, s)) <= REACH]
        best = max(within, key=lambda shift: explained(*shift))
    return best


def _shared_part(a, b, dy, dx):
    """The planes of what both sides show, once a shift is taken out."""
    height, width = a.shape[1:]
    return (
        a[:, max(-dy, 0) : height - max(dy, 0), max(-dx, 0) : width - max(dx, 0)],
        b[:, max(dy, 0) : height - max(-dy, 0), max(dx, 0) : width - max(-dx, 0)],
    )


def _vertex(surface, y, x):
    """Top of the parabolas through a maximum and its neighbours, as a shift."""
    shift = []
    for line, i in ((surface[:, x], y), (surface[y], x)):
        offset = 0.0
        if 0 < i < len(line) - 1:
            before, here, after = line[i - 1 : i + 2]
            bend = before - 2 * here + after
            if bend < 0:
                offset = float(np.clip(0.5 * (before - after) / bend, -1, 1))
        shift.append(float(_SHIFTS[i]) + offset)
    return shift
