"""What one side of a pair says about the other, locally and without a direction.

The two sides look different, so neither edges nor phases of the one can be laid upon the
other. But over a whole data set one side's local appearance predicts the other's: blue
becomes sea, a grey line becomes a road. A ridge regression on local features learns this
from the pairs themselves. The features are isotropic, so that it cannot learn a shift
which all pairs share.

Planes are float32 `[C, H, W]`; NumPy only, no TensorFlow.
"""

import functools

import numpy as np

from pan_tf.images import PEAK

_SCALES = (1.0, 2.0, 4.0, 8.0)
_HIDDEN = 128  # Random rectified features on top of the local ones.
_RIDGE = 1e-4
_PIXELS = 1500  # Drawn from each pair to learn from.
_BORDER = 16  # Mirrored, for the whitening.
_CLIP = 3.0  # Whitened values beyond so many deviations count as so many.
_BINS = np.linspace(0.0, 0.75, 49)  # Of the radial spectrum, in cycles a pixel.


def color_planes(pixels):
    """uint8 `[H, W, 3]` -> luma, red - blue, green - magenta, `[3, H, W]`."""
    red, green, blue = np.moveaxis(np.asarray(pixels, np.float32) / PEAK, -1, 0)
    luma = (red + green + blue) / 3.0
    return np.stack([luma, red - blue, green - 0.5 * (red + blue)])


def features(planes):
    """Colour, contrast, edges and ridges at four scales: `[31, H, W]`."""
    found = [planes]
    squared = planes[:1] ** 2
    for sigma in _SCALES:
        blurred = _blur(np.concatenate([planes, squared]), sigma)
        luma = blurred[0]
        variance = np.maximum(blurred[3] - luma**2, 0.0)
        gy, gx = np.gradient(luma)
        gyy, gyx = np.gradient(gy)
        gxx = np.gradient(gx, axis=1)
        # Eigenvalues of the Hessian: they turn with the image.
        middle = (gyy + gxx) / 2
        spread = np.sqrt(((gyy - gxx) / 2) ** 2 + gyx**2)
        found.append(blurred[:3])
        found.append(
            np.stack(
                [
                    np.log(variance + 1e-4),
                    sigma * np.hypot(gy, gx),
                    sigma**2 * (middle + spread),
                    sigma**2 * (middle - spread),
                ]
            )
        )
    return np.concatenate(found)


def targets(planes):
    """What is predicted of the other side, colour and local contrast: `[4, H, W]`."""
    planes = _blur(planes, 0.7)
    gradients = [component for plane in planes for component in np.gradient(plane)]
    contrast = np.sqrt(sum(g**2 for g in gradients))
    return np.concatenate([planes, contrast[None]])


class Basis:
    """Standardised features, and rectified random mixtures of them.

    Args:
        random: NumPy generator.
        samples: `[n, features]`, to standardise by.
    """

    def __init__(self, random, samples):
        count = samples.shape[1]
        self._mean, self._std = samples.mean(0), samples.std(0) + 1e-6
        weights = random.normal(size=(count, _HIDDEN)) * 1.5 / np.sqrt(count)
        self._weights = weights.astype(np.float32)
        self._bias = random.uniform(-1, 1, _HIDDEN).astype(np.float32)

    def __call__(self, samples):
        """`[n, features]` -> `[n, 1 + features + hidden]`."""
        x = np.clip((samples - self._mean) / self._std, -4, 4).astype(np.float32)
        hidden = np.maximum(x @ self._weights + self._bias, 0)
        return np.concatenate([np.ones((len(x), 1), np.float32), x, hidden], axis=1)


def ridge_gram(design):
    """Regularised second moments of a design matrix, float64."""
    gram = (design.T @ design).astype(np.float64)
    gram[np.diag_indices_from(gram)] += _RIDGE * len(design)
    return gram


class Predictor:
    """One side from the other, and how its errors are spread over frequencies.

    Args:
        random: NumPy generator.
        pairs: list of (planes, planes), one predicted from the other.
    """

    def __init__(self, random, pairs):
        inputs, outputs = [], []
        for a, b in pairs:
            x, y = features(a), targets(b)
            drawn = random.integers(0, x[0].size, _PIXELS)
            inputs.append(x.reshape(len(x), -1)[:, drawn].T)
            outputs.append(y.reshape(len(y), -1)[:, drawn].T)
        inputs, outputs = np.concatenate(inputs), np.concatenate(outputs)
        self._basis = Basis(random, inputs)
        design = self._basis(inputs)
        moments = (design.T @ outputs).astype(np.float64)
        self._beta = np.linalg.solve(ridge_gram(design), moments).astype(np.float32)
        residual = outputs - design @ self._beta
        # Channels whose errors are independent, and of unit variance.
        covariance = (residual.T @ residual / len(residual)).astype(np.float64)
        values, vectors = np.linalg.eigh(covariance)
        self._mix = (vectors / np.sqrt(values + 1e-6)).T.astype(np.float32)
        self._filters = {}
        self._frequencies, self._power = self._spectrum(pairs[:60])
        energies = []
        for a, b in pairs[:60]:
            prediction, truth = self.whitened(features(a), b)
            energies.append(
                np.sqrt((prediction**2).mean((1, 2)) * (truth**2).mean((1, 2)))
            )
        #: `[4]`, a quarter of the energy of the usual pair: pairs without texture are not
        #: scaled up beyond it.
        self.least_energy = 0.25 * np.median(energies, axis=0)

    def whitened(self, given, other):
        """Prediction and truth, as noise of equal strength at all frequencies.

        Args:
            given: `features` of the one side.
            other: planes of the other.

        Returns:
            Two `[4, H, W]`.
        """
        return tuple(self._whiten(x) for x in self._mixed(given, other))

    def _mixed(self, given, other):
        truth = targets(other)
        prediction = self._basis(given.reshape(len(given), -1).T) @ self._beta
        flat = prediction.T, truth.reshape(len(truth), -1)
        return tuple((self._mix @ x).reshape(truth.shape) for x in flat)

    def _spectrum(self, pairs):
        """Mean radial power of the errors: (frequencies, `[4, frequencies]`)."""
        total, count = np.zeros((4, len(_BINS) - 1)), np.zeros(len(_BINS) - 1)
        for a, b in pairs:
            prediction, truth = self._mixed(features(a), b)
            height, width = truth.shape[1:]
            error = truth - prediction
            error -= error.mean((1, 2), keepdims=True)
            error = error * np.hanning(height)[:, None] * np.hanning(width)
            power = np.abs(np.fft.rfft2(error)) ** 2 / (height * width * 0.375**2)
            place = np.digitize(_radius(height, width).ravel(), _BINS) - 1
            size = len(count)
            count += np.bincount(place, minlength=size)[:size]
            total += [np.bincount(place, p.ravel(), size)[:size] for p in power]
        seen = count > 0
        middles = (_BINS[1:] + _BINS[:-1]) / 2
        return middles[seen], total[:, seen] / count[seen] + 1e-3

    def _whiten(self, x):
        height, width = x.shape[1:]
        border = ((0, 0), (_BORDER, _BORDER), (_BORDER, _BORDER))
        x = np.pad(x - x.mean((1, 2), keepdims=True), border, "symmetric")
        size = x.shape[1:]
        if size not in self._filters:
            radius = _radius(*size)
            powers = [np.interp(radius, self._frequencies, p) for p in self._power]
            self._filters[size] = np.stack(powers).astype(np.float32) ** -0.5
        x = np.fft.irfft2(np.fft.rfft2(x) * self._filters[size], size)
        inner = x[:, _BORDER : _BORDER + height, _BORDER : _BORDER + width]
        return np.clip(inner, -_CLIP, _CLIP)


def _blur(planes, sigma):
    """Gaussian blur of `[C, H, W]`; weights are renormalised at the borders."""
    height, width = planes.shape[-2:]
    return _blur_matrix(height, sigma) @ planes @ _blur_matrix(width, sigma).T


@functools.lru_cache(maxsize=64)
def _blur_matrix(size, sigma):
    place = np.arange(size)
    weights = np.exp(-0.5 * ((place[:, None] - place) / sigma) ** 2)
    weights[weights < 1e-9] = 0  # Denormal numbers are slow.
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


@functools.lru_cache(maxsize=16)
def _radius(height, width):
    return np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
