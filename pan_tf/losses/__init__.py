"""Losses: functions of tensors (`functional`), and the two-sided terms of them."""

from pan_tf.losses.adversarial import AdversarialLoss
from pan_tf.losses.adversarial import PerceptualAdversarialLoss
from pan_tf.losses.reconstruction import CentreLoss
from pan_tf.losses.reconstruction import CycleConsistencyLoss
from pan_tf.losses.reconstruction import IdentityLoss
from pan_tf.losses.reconstruction import PerceptualLoss
from pan_tf.losses.reconstruction import PixelLoss
from pan_tf.losses.terms import DiscriminatorOutput
from pan_tf.losses.terms import LossTerm
from pan_tf.losses.terms import Translation

__all__ = [
    "AdversarialLoss",
    "CentreLoss",
    "CycleConsistencyLoss",
    "DiscriminatorOutput",
    "IdentityLoss",
    "LossTerm",
    "PerceptualAdversarialLoss",
    "PerceptualLoss",
    "PixelLoss",
    "Translation",
]
