"""Terms in which D takes part: what is a game between T and D."""

import dataclasses
import functools

import tensorflow as tf

from pan_tf.losses import functional
from pan_tf.losses.terms import LossTerm

_T_SIDES = {
    "saturating": functional.saturating_transformer_loss,
    "non_saturating": functional.non_saturating_transformer_loss,
    "least_squares": functional.least_squares_transformer_loss,
}


@dataclasses.dataclass(frozen=True)
class AdversarialLoss(LossTerm):
    """The generative adversarial loss, Eq. (2); its weight is theta of Eq. (6).

    Of a D with several maps of logits, the sum over them, as Eq. (6) of the Perceptual
    Discriminators paper; each counts with its mean, as in that paper's code, where the
    equation sums over positions.

    Attributes:
        kind: T's side, "saturating" (as printed) or "non_saturating"; or both sides by
            "least_squares" (LSGAN).
        real_label: what D is to say of real images; below 1 smooths the label.
        remembers: whether D judges outputs of the past too, see `layers.ImageHistory`.

    Raises:
        ValueError: for another kind or a label outside (0, 1].
    """

    kind: str = "saturating"
    real_label: float = 1.0
    remembers: bool = False
    name = "adversarial"

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

    @property
    def images(self):
        return ("remembered",) if self.remembers else ()

    def d_inputs(self, player):
        if player == "transformer":
            return ("output",)
        return "target", "remembered" if self.remembers else "output"

    def transformer_loss(self, translation):
        side = _T_SIDES[self.kind]
        return tf.add_n([side(z) for z in translation.seen["output"].logits])

    def discriminator_loss(self, translation):
        side = functional.gan_discriminator_loss
        if self.kind == "least_squares":
            side = functional.least_squares_discriminator_loss
        real, generated = self._seen_by_d(translation)
        return tf.add_n(
            [
                side(r, g, self.real_label)
                for r, g in zip(real.logits, generated.logits, strict=True)
            ]
        )

    def diagnostics(self, translation):
        def probability(seen):
            logits = [tf.cast(z, tf.float32) for z in seen.logits]
            # Least squares draw D itself towards 0 and 1.
            share = tf.sigmoid
            if self.kind == "least_squares":
                share = functools.partial(
                    tf.clip_by_value, clip_value_min=0.0, clip_value_max=1.0
                )
            means = [tf.reduce_mean(share(z)) for z in logits]
            return tf.add_n(means) / len(means)

        real, generated = self._seen_by_d(translation)
        return {
            "d_real_probability": probability(real),
            "d_generated_probability": probability(generated),
        }

    def _seen_by_d(self, translation):
        return [translation.seen[name] for name in self.d_inputs("discriminator")]


@dataclasses.dataclass(frozen=True)
class PerceptualAdversarialLoss(LossTerm):
    """T closes, and D opens up to a margin, the gap between D's features.

        P = sum_j lambdas[j] * mean |d_j(y) - d_j(T(x))|        Eq. (3), (4)
        T minimises P;  D minimises max(0, margin - P)          Eq. (5)

    Of unaligned sets, where no y belongs to an x, P compares means over the batch:

        P = sum_j lambdas[j] * mean |E_Y d_j(y) - E_X d_j(T(x))|         Eq. (7)

    Attributes:
        lambdas: a weight for each of D's features, shallow to deep.
        margin: m, the gap beyond which D is content, in units of P.
        aligned: whether a target belongs to its source.

    Raises:
        ValueError: if a lambda is negative, or the margin not positive.
    """

    lambdas: tuple = (5.0, 1.5, 1.5, 1.0)
    margin: float = 3.0
    aligned: bool = True
    name = "perceptual_adversarial"

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

    def d_inputs(self, player):
        return "target", "output"

    def transformer_loss(self, translation):
        real, generated = (translation.seen[n].features for n in ("target", "output"))
        if self.aligned:
            return functional.perceptual_distance(real, generated, self.lambdas)
        return functional.mean_feature_distance(real, generated, self.lambdas)

    def discriminator_loss(self, translation):
        return functional.margin_loss(self._global_distance(translation), self.margin)

    def diagnostics(self, translation):
        distance = self._global_distance(translation)
        active = tf.cast(distance < self.margin, tf.float32)
        return {"d_hinge_active": active}

    def _global_distance(self, translation):
        distance = self.transformer_loss(translation)
        return functional.global_mean(distance) if self.aligned else distance
