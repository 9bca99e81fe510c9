"""Terms of T alone: how far an image is from the one that it should be."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from pan_tf import images
from pan_tf.losses import functional
from pan_tf.losses.terms import LossTerm

_DIFFERENCES = {
    "l1": functional.mean_absolute_difference,
    "l2": functional.mean_squared_difference,
}


@dataclasses.dataclass(frozen=True)
class PixelLoss(LossTerm):
    """The difference between output and target, pixel by pixel; D takes no part.

    Attributes:
        kind: "l1", mean |y - T(x)|, or "l2", mean (y - T(x))^2, of values in [-1, 1].
        region: what the mean is over, the "image", or the "centre" that a T for
            inpainting generates (the rest is the target's).

    Raises:
        ValueError: for another kind.
    """

    kind: str = "l1"
    region: str = "image"
    name = "pixel"

    def __post_init__(self):
        _check_difference(self.kind)

    def transformer_loss(self, translation):
        target, output = translation.target, translation.output
        if self.region == "centre":
            begin = images.hole_begin(target.shape[1], overlap=True)
            inner = slice(begin, target.shape[1] - begin)
            target, output = (image[:, inner, inner] for image in (target, output))
        return _DIFFERENCES[self.kind](target, output)


@dataclasses.dataclass(frozen=True)
class CycleConsistencyLoss(LossTerm):
    """Mean |F(T(x)) - x|, F the other direction's T; Eq. (2) of CycleGAN."""

    name = "cycle_consistency"
    images = ("cycled",)

    def transformer_loss(self, translation):
        return functional.mean_absolute_difference(
            translation.source, tf.cast(translation.cycled, tf.float32)
        )


@dataclasses.dataclass(frozen=True)
class IdentityLoss(LossTerm):
    """Mean |T(y) - y|: what is in the target's domain already is to stay as it is.

    Sec. 5.2 of CycleGAN; Eq. (7) of the Perceptual Discriminators paper.
    """

    name = "identity"
    images = ("identity",)

    def transformer_loss(self, translation):
        return functional.mean_absolute_difference(
            translation.target, tf.cast(translation.identity, tf.float32)
        )


@dataclasses.dataclass(frozen=True)
class CentreLoss(LossTerm):
    """Mean squared difference in the generated centre; Context-Encoders.

    Attributes:
        edge_weight: of the edge that T was shown, against what was missing; 10 as
            published. The mean is over the pixels, whatever their weights.
    """

    edge_weight: float = 10.0
    name = "pixel"

    def transformer_loss(self, translation):
        size = translation.target.shape[1]
        missing = images.central_mask(size).astype(np.float32)
        centre = images.central_mask(size, overlap=True).astype(np.float32)
        weights = missing + self.edge_weight * (centre - missing)
        difference = tf.math.squared_difference(
            tf.cast(translation.target, tf.float32),
            tf.cast(translation.output, tf.float32),
        )
        # Of the whole image, of which the centre is a share.
        return tf.reduce_mean(difference * weights) / centre.mean()


@dataclasses.dataclass(frozen=True)
class PerceptualLoss(LossTerm):
    """The difference between two images as a frozen, trained network sees them.

    Attributes:
        layer: of VGG, by its Keras name; None for all features that the network has,
            whose differences are added up.
        kind: "l1" or "l2", as of `PixelLoss`.
        preprocessing: what the network is given, see `networks.vgg_features`.
        scale: features are divided by it.
        between: names of the two images of a `Translation`.
        network: image -> features; put here when a system is built, float `[B, H, W, 3]`
            in [-1, 1] -> `[B, h, w, c]`.

    Raises:
        ValueError: for another kind.
    """

    layer: str | None = "block2_conv2"
    kind: str = "l2"
    preprocessing: str = "caffe"
    scale: float = 1.0
    between: tuple = ("target", "output")
    network: Any = dataclasses.field(default=None, repr=False, compare=False)

    def __post_init__(self):
        _check_difference(self.kind)

    @property
    def name(self):
        made = self.between[-1]
        return "perceptual" + (f"_{made}" if made != "output" else "")

    @property
    def images(self):
        return tuple(set(self.between) & {"cycled", "identity"})

    def transformer_loss(self, translation):
        real, generated = (
            self._features(getattr(translation, name)) for name in self.between
        )
        difference = _DIFFERENCES[self.kind]
        return tf.add_n([difference(a, b) for a, b in zip(real, generated, strict=True)])

    def _features(self, image):
        features = self.network(tf.cast(image, tf.float32), training=False)
        features = features if isinstance(features, list) else [features]
        return [feature / self.scale for feature in features]


def _check_difference(kind):
    if kind not in _DIFFERENCES:
        raise ValueError(
            f"`kind` must be one of: {', '.join(_DIFFERENCES)}. Received: kind={kind!r}."
        )
