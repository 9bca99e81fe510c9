"""Deep feature interpolation: nothing is trained, an image is moved in VGG's features.

DFI (Upchurch et al., arXiv:1611.05507), a baseline of the Perceptual Discriminators
paper. phi is the features relu3_1, relu4_1 and relu5_1, each channel divided by its mean
over images of both domains, as the normalized VGG of the authors' code has it. For a
source x, W is the mean of phi over the targets most like x less that over the sources
most like x. L-BFGS-B begins at z = x and minimises half the squared error of phi(z) to

    phi(x) + step W / mean(W^2),

plus smoothness times TV(z), the sum of squared differences of neighbouring pixels in
levels of 255. The output is z. Numbers are the authors'; where attributes are not known,
they rank likeness by the cosine of relu5_1.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from pan_tf import images
from pan_tf import networks
from pan_tf import tracing
from pan_tf.data.split import evenly

_LAYERS = ("block3_conv1", "block4_conv1", "block5_conv1")
_AT_ONCE = 16
# How many images of either domain tell the mean of a channel, a multiple of `_AT_ONCE`.
_FEW = 64
# What a channel is divided by at least, however seldom it answers: a share of its layer's
# mean.
_LEAST = 1e-2


@dataclasses.dataclass(frozen=True)
class Settings:
    """What an interpolation is made by.

    Attributes:
        vgg: "vgg19", as published, or "vgg16".
        vgg_weights: file of its weights; None: those of `keras.applications`.
        neighbors: images of either domain that W is the difference of.
        by: what they are chosen by, "features" or "attributes".
        step: how far to go along W.
        smoothness: weight of TV.
        iterations: of L-BFGS-B, at most.
    """

    vgg: str = "vgg19"
    vgg_weights: str | None = None
    neighbors: int = 100
    by: str = "features"
    step: float = 0.4
    smoothness: float = 0.001
    iterations: int = 500

    def __post_init__(self):
        if self.by not in ("features", "attributes"):
            raise ValueError(
                "--dfi_by must be one of: attributes, features. "
                f"Received: dfi_by={self.by!r}."
            )

    def located(self):
        """The same, the file of weights found, fetched if need be, and read.

        Raises:
            ValueError: if the file does not hold them, or SciPy is not installed.
            WeightsNotFoundError: if there is none.
        """
        try:
            import scipy.optimize  # noqa: F401
        except ImportError:
            raise ValueError(
                '--dfi needs SciPy, which is not installed: pip install "pan_tf[dfi]".'
            ) from None
        path, _ = networks.locate_vgg_weights(self.vgg_weights, self.vgg)
        networks.check_vgg_weights(path, self.vgg)
        return dataclasses.replace(self, vgg_weights=path)


class Interpolation:
    """From one domain to another, by two sets of images.

    Args:
        sources: uint8 `[N, H, W, 3]`.
        targets: uint8 `[M, H, W, 3]`, of the same size.
        settings: `Settings`, located.
        attributes: (`[N, A]`, `[M, A]`) of both, where neighbours are chosen by them.
    """

    def __init__(self, sources, targets, settings, attributes=None):
        self.settings = settings
        self._domains = (sources, targets)
        size = sources.shape[1:3]
        self._network = networks.vgg_features(
            _LAYERS, weights=settings.vgg_weights, size=size, vgg=settings.vgg
        )
        self._scales = [tf.constant(s) for s in self._find_scales()]
        self._keys = attributes or [
            np.concatenate([self._key(part) for part in _parts(domain)])
            for domain in self._domains
        ]

        @tracing.function(reduce_retracing=True)
        def look(pixels):
            return self._phi(pixels)

        @tracing.function(reduce_retracing=True)
        def loss_and_gradient(pixels, wanted):
            with tf.GradientTape() as tape:
                tape.watch(pixels)
                errors = zip(self._phi(pixels), wanted, strict=True)
                loss = 0.5 * tf.add_n([tf.reduce_sum((a - b) ** 2) for a, b in errors])
                loss += settings.smoothness * _total_variation(pixels)
            return loss, tape.gradient(loss, pixels)

        self._look, self._loss_and_gradient = look, loss_and_gradient

    def translate(self, pixels, attributes=None):
        """uint8 `[B, H, W, 3]` -> the same, moved; `attributes` are theirs, `[B, A]`."""
        if attributes is None:
            keys = np.concatenate([self._key(part) for part in _parts(pixels)])
        else:
            keys = attributes
        return np.stack([self._moved(*one) for one in zip(pixels, keys, strict=True)])

    def _moved(self, source, key):
        from scipy import optimize

        means = [
            self._mean(domain[self._nearest(key, keys)])
            for domain, keys in zip(self._domains, self._keys, strict=True)
        ]
        direction = [target - source for source, target in zip(*means, strict=True)]
        squares = sum(float(tf.reduce_sum(w**2)) for w in direction)
        count = sum(int(tf.size(w)) for w in direction)
        pace = self.settings.step * count / squares if squares else 0.0
        start = tf.cast(source[None], tf.float32)
        phi = self._look(start)
        wanted = [f + pace * w for f, w in zip(phi, direction, strict=True)]

        def objective(flat):
            pixels = tf.constant(flat.reshape(start.shape), tf.float32)
            loss, gradient = self._loss_and_gradient(pixels, wanted)
            return float(loss), gradient.numpy().ravel().astype(np.float64)

        found = optimize.minimize(
            objective,
            start.numpy().ravel().astype(np.float64),
            jac=True,
            method="L-BFGS-B",
            bounds=optimize.Bounds(0.0, images.PEAK),
            options={"maxiter": self.settings.iterations},
        )
        return np.round(found.x).astype(np.uint8).reshape(source.shape)

    def _nearest(self, key, keys):
        if self.settings.by == "attributes":
            distance = (np.asarray(keys) != np.asarray(key)).sum(1)
        else:
            distance = -(keys @ key)
        return np.argsort(distance, kind="stable")[: self.settings.neighbors]

    def _key(self, pixels):
        """Unit vectors `[B, ...]` whose scalar product is the cosine of relu5_1."""
        features = self._network(images.to_float(pixels))[-1] / self._scales[-1]
        flat = tf.reshape(features, (len(pixels), -1))
        return tf.math.l2_normalize(flat, axis=1).numpy()

    def _phi(self, pixels):
        """Normalized features of float32 `[B, H, W, 3]` in levels of 255."""
        features = self._network(images.to_float(pixels))
        return [f / s for f, s in zip(features, self._scales, strict=True)]

    def _mean(self, pixels):
        """Mean of phi over images, `[1, ...]` a layer."""
        totals = None
        for part in _parts(pixels):
            sums = [
                tf.reduce_sum(f, axis=0, keepdims=True)
                for f in self._look(tf.cast(part, tf.float32))
            ]
            totals = sums if totals is None else list(map(tf.add, totals, sums))
        return [total / len(pixels) for total in totals]

    def _find_scales(self):
        """Mean of each channel over a few images of both domains."""
        means = []
        for domain in self._domains:
            few = min(_FEW, len(domain)) // _AT_ONCE * _AT_ONCE or len(domain)
            spread = domain[evenly(len(domain), few)]
            parts = [
                [
                    tf.reduce_mean(f, axis=(0, 1, 2))
                    for f in self._network(images.to_float(p))
                ]
                for p in _parts(spread)
            ]
            means.append([np.mean(layer, axis=0) for layer in zip(*parts, strict=True)])
        scales = [np.mean(layer, axis=0) for layer in zip(*means, strict=True)]
        return [np.maximum(s, max(_LEAST * s.mean(), 1e-6)) for s in scales]


def _parts(pixels):
    return [pixels[i : i + _AT_ONCE] for i in range(0, len(pixels), _AT_ONCE)]


def _total_variation(pixels):
    down = pixels[:, 1:] - pixels[:, :-1]
    right = pixels[:, :, 1:] - pixels[:, :, :-1]
    return tf.reduce_sum(down**2) + tf.reduce_sum(right**2)
