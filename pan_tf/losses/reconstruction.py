"""Terms of T alone: how far an image is from the one that it should be."""

import dataclasses
import math
from typing import Any
from typing import ClassVar

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
        ValueError: for another kind or region.
    """

    kind: str = "l1"
    region: str = "image"
    name: str = dataclasses.field(default="pixel", kw_only=True)
    needs_pairs: ClassVar = True
    takes_region: ClassVar = True
    settings: ClassVar = {"pixel_weight": "weight"}

    def __post_init__(self):
        _check_difference(self.kind)
        if self.region not in ("image", "centre"):
            raise ValueError(
                "PixelLoss: `region` must be one of: image, centre. "
                f"Received: region={self.region!r}."
            )

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

    name: str = dataclasses.field(default="cycle_consistency", kw_only=True)
    images: ClassVar = ("cycled",)
    settings: ClassVar = {"cycle_weight": "weight"}

    def transformer_loss(self, translation):
        return functional.mean_absolute_difference(
            translation.source, tf.cast(translation.cycled, tf.float32)
        )


@dataclasses.dataclass(frozen=True)
class IdentityLoss(LossTerm):
    """Mean |T(y) - y|: what is in the target's domain already is to stay as it is.

    Sec. 5.2 of CycleGAN; Eq. (7) of the Perceptual Discriminators paper.
    """

    name: str = dataclasses.field(default="identity", kw_only=True)
    images: ClassVar = ("identity",)
    settings: ClassVar = {"identity_weight": "weight"}

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
    name: str = dataclasses.field(default="pixel", kw_only=True)
    needs_pairs: ClassVar = True
    needs_square: ClassVar = True
    settings: ClassVar = {"pixel_weight": "weight"}

    def transformer_loss(self, translation):
        size = translation.target.shape[1]
        missing = images.central_mask(size).astype(np.float32)
        centre = images.central_mask(size, overlap=True).astype(np.float32)
        weights = missing + self.edge_weight * (centre - missing)
        difference = tf.math.squared_difference(
            tf.cast(translation.target, tf.float32),
            tf.cast(translation.output, tf.float32),
        )
        # The mean is over the whole image, of which the centre is a share.
        return tf.reduce_mean(difference * weights) / centre.mean()


@dataclasses.dataclass(frozen=True)
class PerceptualLoss(LossTerm):
    """The difference between two images as a frozen, trained network sees them.

    Attributes:
        layer: of VGG, by its Keras name, or a tuple of names; None for all features of
            its encoder. The differences of several are added up.
        kind: "l1" or "l2", as of `PixelLoss`.
        preprocessing: what the network is given, see `networks.vgg_features`.
        scale: features are divided by it.
        between: names of the two images of a `Translation`.
        layer_weights: of each layer's difference; None for 1.
        network: image -> features; put here when a system is built, float `[B, H, W, 3]`
            in [-1, 1] -> `[B, h, w, c]`, or a list of such.

    Raises:
        ValueError: for another kind, no layer, a scale that is not positive, or if it is
            not two images, or layers and weights differ in number.
    """

    layer: str | tuple | None = "block2_conv2"
    kind: str = "l2"
    preprocessing: str = "caffe"
    scale: float = 1.0
    between: tuple = ("target", "output")
    layer_weights: tuple | None = None
    network: Any = dataclasses.field(default=None, repr=False, compare=False)
    name: str = dataclasses.field(default="perceptual", kw_only=True)
    looks_through_vgg: ClassVar = True

    def __post_init__(self):
        _check_difference(self.kind)
        if self.layer is not None and not self.layer:
            raise ValueError(f"`layer` must name one. Received: layer={self.layer!r}.")
        if len(self.between) != 2:
            raise ValueError(
                f"`between` must name two images. Received: between={self.between}."
            )
        if not 0.0 < self.scale < math.inf:
            raise ValueError(f"`scale` must be positive. Received: scale={self.scale}.")
        if self.layer is not None:
            self._check_weights(1 if isinstance(self.layer, str) else len(self.layer))

    def _check_weights(self, count):
        weights = self.layer_weights
        if weights is not None and (len(weights) != count or min(weights) < 0.0):
            raise ValueError(
                "`layer_weights` must be numbers of at least 0, one a layer. "
                f"Received: layer={self.layer}, layer_weights={weights}."
            )

    @property
    def images(self):
        return tuple(set(self.between) & {"cycled", "identity"})

    @property
    def needs_pairs(self):
        # The others are made of the source.
        of_target = {name in ("target", "identity") for name in self.between}
        return len(of_target) > 1

    def with_vgg(self, features):
        network = features(self.layer, self.preprocessing)
        if self.layer_weights is not None:  # How many an encoder has, nobody else knows.
            self._check_weights(len(network.outputs))
        return dataclasses.replace(self, network=network)

    def transformer_loss(self, translation):
        real, generated = (
            self._features(getattr(translation, name)) for name in self.between
        )
        difference = _DIFFERENCES[self.kind]
        weights = self.layer_weights or (1.0,) * len(real)
        return tf.add_n(
            [
                weight * difference(a, b)
                for weight, a, b in zip(weights, real, generated, strict=True)
            ]
        )

    def _features(self, image):
        if self.network is None:
            raise ValueError(
                "PerceptualLoss looks through a network, and has none. Outside of a "
                "recipe: PerceptualLoss(...).with_vgg(networks.imagenet_features)."
            )
        features = self.network(tf.cast(image, tf.float32), training=False)
        features = features if isinstance(features, list) else [features]
        return [feature / self.scale for feature in features]


def _check_difference(kind):
    if kind not in _DIFFERENCES:
        raise ValueError(
            f"`kind` must be one of: {', '.join(_DIFFERENCES)}. Received: kind={kind!r}."
        )
