"""Losses: functions of tensors (`functional`), and the two-sided terms of them."""

import pan_tf.layers  # noqa: F401 (whose classes register with Keras)
from pan_tf.losses.adversarial import AdversarialLoss
from pan_tf.losses.adversarial import FeatureMatchingLoss
from pan_tf.losses.adversarial import PerceptualAdversarialLoss
from pan_tf.losses.reconstruction import CentreLoss
from pan_tf.losses.reconstruction import CycleConsistencyLoss
from pan_tf.losses.reconstruction import IdentityLoss
from pan_tf.losses.reconstruction import PerceptualLoss
from pan_tf.losses.reconstruction import PixelLoss
from pan_tf.losses.terms import TERMS
from pan_tf.losses.terms import DiscriminatorOutput
from pan_tf.losses.terms import LossTerm
from pan_tf.losses.terms import Translation
from pan_tf.losses.terms import check_names

__all__ = [
    "TERMS",
    "AdversarialLoss",
    "CentreLoss",
    "CycleConsistencyLoss",
    "DiscriminatorOutput",
    "FeatureMatchingLoss",
    "IdentityLoss",
    "LossTerm",
    "PerceptualAdversarialLoss",
    "PerceptualLoss",
    "PixelLoss",
    "Translation",
    "check_names",
]
