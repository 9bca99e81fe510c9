"""Builders of networks; each returns a functional `keras.Model`.

Transformers map an image to an image. Discriminators map `{"source", "image"}` to
`{"logits", "features"}`. Every module here is imported, so that `TRANSFORMERS` and
`DISCRIMINATORS` have what it declares; a row names any of those, `networks.NAME`.
"""

import importlib
import pkgutil

from pan_tf.networks.alexnet import ALEXNET_SMALLEST
from pan_tf.networks.alexnet import alexnet_features
from pan_tf.networks.declarations import DISCRIMINATORS
from pan_tf.networks.declarations import TRANSFORMERS
from pan_tf.networks.declarations import Declaration
from pan_tf.networks.declarations import declaration
from pan_tf.networks.declarations import original
from pan_tf.networks.deraining import deraining_transformer
from pan_tf.networks.deraining import id_cgan_transformer
from pan_tf.networks.discriminators import context_encoder_discriminator
from pan_tf.networks.discriminators import pan_discriminator
from pan_tf.networks.discriminators import patch_discriminator
from pan_tf.networks.fetching import WeightsNotFoundError
from pan_tf.networks.inception import inception_features
from pan_tf.networks.inpainting import context_encoder_transformer
from pan_tf.networks.inpainting import pan_inpainting_transformer
from pan_tf.networks.perceptual import perceptual_discriminator
from pan_tf.networks.perceptual import separate_discriminators
from pan_tf.networks.published import PUBLISHED
from pan_tf.networks.published import locate_published
from pan_tf.networks.receptive_field import ReceptiveField
from pan_tf.networks.receptive_field import activation_bytes
from pan_tf.networks.receptive_field import receptive_field
from pan_tf.networks.resnet import cyclegan_transformer
from pan_tf.networks.resnet import manipulation_transformer
from pan_tf.networks.torch_files import read_state_dict
from pan_tf.networks.unet import official_pan_transformer
from pan_tf.networks.unet import pan_transformer
from pan_tf.networks.unet import pix2pix_transformer
from pan_tf.networks.unet import resize_transformer
from pan_tf.networks.vgg import check_vgg_weights
from pan_tf.networks.vgg import convolutions
from pan_tf.networks.vgg import imagenet_classifier
from pan_tf.networks.vgg import imagenet_features
from pan_tf.networks.vgg import locate_vgg_weights
from pan_tf.networks.vgg import save_vgg_weights
from pan_tf.networks.vgg import vgg_classifier
from pan_tf.networks.vgg import vgg_encoder
from pan_tf.networks.vgg import vgg_features

__all__ = [
    "ALEXNET_SMALLEST",
    "DISCRIMINATORS",
    "PUBLISHED",
    "TRANSFORMERS",
    "Declaration",
    "ReceptiveField",
    "WeightsNotFoundError",
    "activation_bytes",
    "alexnet_features",
    "check_vgg_weights",
    "context_encoder_discriminator",
    "context_encoder_transformer",
    "convolutions",
    "cyclegan_transformer",
    "declaration",
    "deraining_transformer",
    "id_cgan_transformer",
    "imagenet_classifier",
    "imagenet_features",
    "inception_features",
    "locate_published",
    "locate_vgg_weights",
    "manipulation_transformer",
    "official_pan_transformer",
    "original",
    "pan_discriminator",
    "pan_inpainting_transformer",
    "pan_transformer",
    "patch_discriminator",
    "perceptual_discriminator",
    "pix2pix_transformer",
    "read_state_dict",
    "receptive_field",
    "resize_transformer",
    "save_vgg_weights",
    "separate_discriminators",
    "vgg_classifier",
    "vgg_encoder",
    "vgg_features",
]

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)


def __getattr__(name):
    """A builder that a module of one's own has declared."""
    for table in (TRANSFORMERS, DISCRIMINATORS):
        if name in table:
            return table[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
