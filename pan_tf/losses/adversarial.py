"""Terms in which D takes part: what is a game between T and D."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any
from typing import ClassVar
from typing import NamedTuple

import tensorflow as tf

from pan_tf.losses import functional
from pan_tf.losses.margin import MarginController
from pan_tf.losses.terms import LossTerm
from pan_tf.tables import later


class _Game(NamedTuple):
    """One kind of adversarial loss: both sides, and how sure D is by its logits."""

    transformer_loss: Callable
    discriminator_loss: Callable
    probability: Callable


def _clipped(logits):
    """Least squares draw D itself towards 0 and 1."""
    return tf.clip_by_value(logits, 0.0, 1.0)


_GAMES = {
    "saturating": _Game(
        functional.saturating_transformer_loss,
        functional.gan_discriminator_loss,
        tf.sigmoid,
    ),
    "non_saturating": _Game(
        functional.non_saturating_transformer_loss,
        functional.gan_discriminator_loss,
        tf.sigmoid,
    ),
    "least_squares": _Game(
        functional.least_squares_transformer_loss,
        functional.least_squares_discriminator_loss,
        _clipped,
    ),
    "hinge": _Game(
        functional.hinge_transformer_loss,
        functional.hinge_discriminator_loss,
        tf.sigmoid,
    ),
}


@dataclasses.dataclass(frozen=True)
class AdversarialLoss(LossTerm):
    """The generative adversarial loss, Eq. (2); its weight is theta of Eq. (6).

    Where D has several maps of logits, the losses are summed, as in Eq. (6) of the
    Perceptual Discriminators paper; each counts with its mean, as in that paper's code,
    where the equation sums over positions.

    Attributes:
        kind: T's side, "saturating" (as printed) or "non_saturating"; or both sides by
            "least_squares" (LSGAN) or "hinge".
        real_label: what D is to say of real images; below 1 smooths the label.
        pooled: whether D judges outputs of the past too, see `layers.ImagePool`.

    Raises:
        ValueError: for another kind, a label outside (0, 1], or one but 1 for a hinge.
    """

    kind: str = "saturating"
    real_label: float = 1.0
    pooled: bool = False
    name: str = dataclasses.field(default="adversarial", kw_only=True)
    tells_real_sign: ClassVar = True
    settings: ClassVar = {
        "theta": "weight",
        "adversarial": "kind",
        "real_label": "real_label",
    }

    def __post_init__(self):
        if self.kind not in _GAMES:
            raise ValueError(
                f"`kind` must be one of: {', '.join(_GAMES)}. "
                f"Received: kind={self.kind!r}."
            )
        if not 0.0 < self.real_label <= 1.0:
            raise ValueError(
                "`real_label` must be above 0 and at most 1. "
                f"Received: real_label={self.real_label}."
            )
        if self.kind == "hinge" and self.real_label != 1.0:
            raise ValueError(
                "`real_label` must be 1 for a hinge, which has no labels to smooth. "
                f"Received: real_label={self.real_label}."
            )

    @property
    def images(self):
        return ("pooled",) if self.pooled else ()

    def d_inputs(self, player):
        if player == "transformer":
            return ("output",)
        return "target", "pooled" if self.pooled else "output"

    def transformer_loss(self, translation):
        side = _GAMES[self.kind].transformer_loss
        return tf.add_n([side(z) for z in translation.d_outputs["output"].logits])

    def discriminator_loss(self, translation):
        side = _GAMES[self.kind].discriminator_loss
        real, generated = self._d_outputs(translation)
        return tf.add_n(
            [
                side(r, g, self.real_label)
                for r, g in zip(real.logits, generated.logits, strict=True)
            ]
        )

    def diagnostics(self, translation):
        real, generated = map(self._probabilities, self._d_outputs(translation))
        # How often D takes targets for real: r_t of ADA, arXiv:2006.06676, Eq. (1).
        sign = _mean([tf.sign(share - 0.5) for share in real])
        return {
            "d_real_probability": _mean(real),
            "d_generated_probability": _mean(generated),
            "d_real_sign": functional.global_mean(sign),
        }

    def _probabilities(self, output):
        """D's probability that an image is real: a map for each map of logits."""
        probability = _GAMES[self.kind].probability
        return [probability(tf.cast(z, tf.float32)) for z in output.logits]

    def _d_outputs(self, translation):
        return [translation.d_outputs[name] for name in self.d_inputs("discriminator")]


@dataclasses.dataclass(frozen=True)
class PerceptualAdversarialLoss(LossTerm):
    """T closes, and D opens up to a margin, the gap between D's features.

        P = sum_j lambdas[j] * mean |d_j(y) - d_j(T(x))|        Eq. (3), (4)
        T minimises P;  D minimises max(0, margin - P)          Eq. (5)

    In unpaired sets no y belongs to an x, and P compares means over the batch:

        P = sum_j lambdas[j] * mean |E_Y d_j(y) - E_X d_j(T(x))|         Eq. (7)

    Attributes:
        lambdas: a weight for each of D's features, shallow to deep.
        margin: m, the gap beyond which D is content, in units of P; or "auto": it follows
            P, so that the hinge is active in a given share of D's updates.
        paired: whether a target belongs to its source.
        activity: that share.
        controller: `MarginController`, put here where a model is made.

    Raises:
        ValueError: if a lambda is negative, or the margin not positive.
    """

    lambdas: tuple = (5.0, 1.5, 1.5, 1.0)
    margin: float | str = 3.0
    paired: bool = True
    activity: float = later(0.5)
    controller: Any = dataclasses.field(default=None, repr=False, compare=False)
    name: str = dataclasses.field(default="perceptual_adversarial", kw_only=True)
    settings: ClassVar = {
        "lambdas": "lambdas",
        "margin": "margin",
        "hinge_activity": "activity",
    }

    def __post_init__(self):
        _check_lambdas(self.lambdas)
        is_number = isinstance(self.margin, int | float)
        if self.margin != "auto" and not (is_number and 0.0 < self.margin < math.inf):
            raise ValueError(
                f"`margin` must be positive, or 'auto'. Received: margin={self.margin!r}."
            )

    @property
    def needs_pairs(self):
        return self.paired

    def with_state(self):
        if self.margin != "auto":
            return self
        return dataclasses.replace(self, controller=MarginController(self.activity))

    def state(self):
        return {} if self.controller is None else self.controller.weights_by_name()

    def follow(self, numbers):
        if self.controller is not None:
            self.controller.follow(numbers["d_distance"], numbers["d_hinge_active"])

    def _margin(self, distance):
        if self.margin != "auto":
            return self.margin
        if self.controller is None:
            raise ValueError("A margin that fits itself needs `with_state()` first.")
        return self.controller.value(distance)

    def d_inputs(self, player):
        return "target", "output"

    def transformer_loss(self, translation):
        real, generated = _features(translation)
        if self.paired:
            return functional.perceptual_distance(real, generated, self.lambdas)
        return functional.mean_feature_distance(real, generated, self.lambdas)

    def discriminator_loss(self, translation):
        distance = self._global_distance(translation)
        return functional.margin_loss(distance, self._margin(distance))

    def diagnostics(self, translation):
        distance = self._global_distance(translation)
        margin = self._margin(distance)
        active = tf.cast(distance < margin, tf.float32)
        numbers = {"d_hinge_active": active}
        if self.controller is None:
            return numbers
        return numbers | {"d_margin": margin, "d_distance": distance}

    def _global_distance(self, translation):
        distance = self.transformer_loss(translation)
        return functional.global_mean(distance) if self.paired else distance


@dataclasses.dataclass(frozen=True)
class FeatureMatchingLoss(LossTerm):
    """T closes the gap between D's features, and D does not mind: P of Eq. (3), T's side.

    The feature matching of pix2pixHD, Eq. (4) there, whose code counts a feature of N
    discriminators by 1 / N.

    Attributes:
        lambdas: a weight for each of D's features, as D lists them.

    Raises:
        ValueError: if a lambda is negative.
    """

    lambdas: tuple = (1.0, 1.0, 1.0, 1.0)
    name: str = dataclasses.field(default="feature_matching", kw_only=True)
    needs_pairs: ClassVar = True
    settings: ClassVar = {"lambdas": "lambdas"}

    def __post_init__(self):
        _check_lambdas(self.lambdas)

    def d_inputs(self, player):
        return ("target", "output") if player == "transformer" else ()

    def transformer_loss(self, translation):
        real, generated = _features(translation)
        return functional.perceptual_distance(real, generated, self.lambdas)


def _mean(maps):
    """The mean of the means of several maps."""
    return tf.add_n([tf.reduce_mean(each) for each in maps]) / len(maps)


def _features(translation):
    """D's features of the target, and of the output."""
    return [translation.d_outputs[name].features for name in ("target", "output")]


def _check_lambdas(lambdas):
    if not lambdas or min(lambdas) < 0.0:
        raise ValueError(
            "`lambdas` must be weights of at least 0, one a feature of D. "
            f"Received: lambdas={lambdas}."
        )
