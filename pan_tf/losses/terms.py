"""Loss terms: the two sides, T's and D's, of one part of the game.

A system is a list of terms. A term names the images that D must see (`d_inputs`); the
model shows them to D, each in a call of its own, and hands the term a `Translation`.
"""

import dataclasses
from typing import Any
from typing import NamedTuple

import tensorflow as tf

from pan_tf.losses import functional

_T_SIDES = {
    "saturating": functional.saturating_transformer_loss,
    "non_saturating": functional.non_saturating_transformer_loss,
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
