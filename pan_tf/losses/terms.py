"""Loss terms: the two sides, T's and D's, of one part of the game.

A system is a list of terms. A term names the images that D must see (`d_inputs`); the
model shows them to D, each in a call of its own, and hands the term a `Translation`.
"""

import dataclasses
from typing import Any
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pan_tf import images
from pan_tf.losses import functional

_T_SIDES = {
    "saturating": functional.saturating_transformer_loss,
    "non_saturating": functional.non_saturating_transformer_loss,
}

_DIFFERENCES = {
    "l1": functional.mean_absolute_difference,
    "l2": functional.mean_squared_difference,
}


class DiscriminatorOutput(NamedTuple):
    """What a discriminator says of a batch of images.

    Attributes:
        logits: list of float `[B, ...]`, one map an output scale, before any sigmoid.
        features: list of float `[B, h, w, c]`, hidden layers, shallow to deep.
    """

    logits: list
    features: list


@dataclasses.dataclass
class Translation:
    """One batch in one direction: its images, and D's view of some of them.

    Attributes:
        source: float `[B, H, W, 3]` in [-1, 1].
        target: the ground truth y.
        output: T(source).
        seen: image name -> `DiscriminatorOutput`.
    """

    source: Any
    target: Any
    output: Any
    seen: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class LossTerm:
    """One named, weighted part of the game between T and D.

    A subclass defines `transformer_loss`, `discriminator_loss`, or both, each from a
    `Translation` to a float32 scalar, the mean over the replica's batch, which that
    player minimises. A side that it leaves out takes no part in the player's objective
    and gets no metric.

    Attributes:
        weight: multiplies both sides.
        name: tag in logs, `t_<name>` and `d_<name>`.
        d_inputs: names of the images of a `Translation` that D must look at.
    """

    weight: float = dataclasses.field(default=1.0, kw_only=True)
    name = ""
    d_inputs = ()

    def diagnostics(self, translation):
        """Numbers worth watching, none of them a loss: name -> float32 scalar."""
        return {}

    def concerns(self, player):
        """Whether the term has a side for "transformer" or "discriminator"."""
        return hasattr(self, f"{player}_loss")

    def loss(self, player, translation):
        """The weighted side of one player."""
        return self.weight * getattr(self, f"{player}_loss")(translation)


@dataclasses.dataclass(frozen=True)
class AdversarialLoss(LossTerm):
    """The generative adversarial loss, Eq. (2); its weight is theta of Eq. (6).

    Attributes:
        kind: T's side, "saturating" (as printed) or "non_saturating".
        real_label: what D is to say of real images; below 1 smooths the label.

    Raises:
        ValueError: for another kind or a label outside (0, 1].
    """

    kind: str = "saturating"
    real_label: float = 1.0
    name = "adversarial"
    d_inputs = ("target", "output")

    def __post_init__(self):
        if self.kind not in _T_SIDES:
            raise ValueError(
                f"`kind` must be one of: {', '.join(_T_SIDES)}. "
                f"Received: kind={self.kind!r}."
            )
        if not 0.0 < self.real_label <= 1.0:
            raise ValueError(
                "`real_label` must be above 0 and at most 1. "
                f"Received: real_label={self.real_label}."
            )

    def transformer_loss(self, translation):
        side = _T_SIDES[self.kind]
        return tf.add_n([side(z) for z in translation.seen["output"].logits])

    def discriminator_loss(self, translation):
        real, generated = (translation.seen[name].logits for name in self.d_inputs)
        return tf.add_n(
            [
                functional.gan_discriminator_loss(r, g, self.real_label)
                for r, g in zip(real, generated, strict=True)
            ]
        )

    def diagnostics(self, translation):
        def probability(name):
            logits = translation.seen[name].logits
            means = [tf.reduce_mean(tf.sigmoid(tf.cast(z, tf.float32))) for z in logits]
            return tf.add_n(means) / len(means)

        return {
            "d_real_probability": probability("target"),
            "d_generated_probability": probability("output"),
        }


@dataclasses.dataclass(frozen=True)
class PerceptualAdversarialLoss(LossTerm):
    """T closes, and D opens up to a margin, the gap between D's features.

        P = sum_j lambdas[j] * mean |d_j(y) - d_j(T(x))|        Eq. (3), (4)
        T minimises P;  D minimises max(0, margin - P)          Eq. (5)

    Attributes:
        lambdas: a weight for each of D's features, shallow to deep.
        margin: m, the gap beyond which D is content, in units of P.

    Raises:
        ValueError: if a lambda is negative, or the margin not positive.
    """

    lambdas: tuple = (5.0, 1.5, 1.5, 1.0)
    margin: float = 3.0
    name = "perceptual_adversarial"
    d_inputs = ("target", "output")

    def __post_init__(self):
        if not self.lambdas or min(self.lambdas) < 0.0:
            raise ValueError(
                "`lambdas` must be weights of at least 0, one a feature of D. "
                f"Received: lambdas={self.lambdas}."
            )
        if self.margin <= 0.0:
            raise ValueError(
                f"`margin` must be positive. Received: margin={self.margin}."
            )

    def transformer_loss(self, translation):
        real, generated = (translation.seen[name].features for name in self.d_inputs)
        return functional.perceptual_distance(real, generated, self.lambdas)

    def discriminator_loss(self, translation):
        distance = functional.global_mean(self.transformer_loss(translation))
        return functional.margin_loss(distance, self.margin)

    def diagnostics(self, translation):
        distance = functional.global_mean(self.transformer_loss(translation))
        active = tf.cast(distance < self.margin, tf.float32)
        return {"d_hinge_active": active}


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
    """The difference between output and target as a frozen, trained network sees them.

    Attributes:
        layer: of VGG-16, by its Keras name.
        kind: "l1" or "l2", as of `PixelLoss`.
        preprocessing: what the network is given, see `networks.vgg_features`.
        scale: features are divided by it.
        network: image -> features; put here when a system is built, float `[B, H, W, 3]`
            in [-1, 1] -> `[B, h, w, c]`.

    Raises:
        ValueError: for another kind.
    """

    layer: str = "block2_conv2"
    kind: str = "l2"
    preprocessing: str = "caffe"
    scale: float = 1.0
    network: Any = dataclasses.field(default=None, repr=False, compare=False)
    name = "perceptual"

    def __post_init__(self):
        _check_difference(self.kind)

    def transformer_loss(self, translation):
        images_seen = translation.target, translation.output
        real, generated = (
            self.network(tf.cast(image, tf.float32), training=False) / self.scale
            for image in images_seen
        )
        return _DIFFERENCES[self.kind](real, generated)


def _check_difference(kind):
    if kind not in _DIFFERENCES:
        raise ValueError(
            f"`kind` must be one of: {', '.join(_DIFFERENCES)}. Received: kind={kind!r}."
        )
