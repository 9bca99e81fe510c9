"""Builders of networks; each returns a functional `keras.Model`.

Transformers map an image to an image. Discriminators map `{"source", "image"}` to
`{"logits", "features"}`.
"""

from pan_tf.networks.discriminators import pan_discriminator
from pan_tf.networks.receptive_field import ReceptiveField
from pan_tf.networks.receptive_field import activation_bytes
from pan_tf.networks.receptive_field import receptive_field
from pan_tf.networks.unet import official_pan_transformer
from pan_tf.networks.unet import pan_transformer

__all__ = [
    "ReceptiveField",
    "activation_bytes",
    "official_pan_transformer",
    "pan_discriminator",
    "pan_transformer",
    "receptive_field",
]
