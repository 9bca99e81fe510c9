"""Losses: functions of tensors (`functional`) and the two-sided terms (`terms`)."""

from pan_tf.losses.terms import AdversarialLoss
from pan_tf.losses.terms import CentreLoss
from pan_tf.losses.terms import DiscriminatorOutput
from pan_tf.losses.terms import LossTerm
from pan_tf.losses.terms import PerceptualAdversarialLoss
from pan_tf.losses.terms import PerceptualLoss
from pan_tf.losses.terms import PixelLoss
from pan_tf.losses.terms import Translation

__all__ = [
    "AdversarialLoss",
    "CentreLoss",
    "DiscriminatorOutput",
    "LossTerm",
    "PerceptualAdversarialLoss",
    "PerceptualLoss",
    "PixelLoss",
    "Translation",
]
