"""pan_tf: image-to-image translation with perceptual adversarial networks.

Importing the package is light; TensorFlow is imported when a name that needs it is first
used: `pan_tf.metrics.ssim(reference, prediction)`, `pan_tf.Translator("runs/mine")`.
"""

import importlib
import os
import sys
import warnings

from pan_tf import loading

__version__ = "0.1.0"

# Public name -> the module that it comes from, as an attribute or as the module itself.
_ON_DEMAND = {
    "Config": "pan_tf.config",
    "Translator": "pan_tf.inference",
    "losses": "pan_tf.losses",
    "metrics": "pan_tf.metrics",
    "networks": "pan_tf.networks",
    "recipes": "pan_tf.recipes",
}

__all__ = [*_ON_DEMAND, "__version__"]


def __getattr__(name):
    if name not in _ON_DEMAND:
        raise AttributeError(f"module 'pan_tf' has no attribute {name!r}")
    module = importlib.import_module(_ON_DEMAND[name])
    return module if module.__name__ == f"pan_tf.{name}" else getattr(module, name)


def __dir__():
    return sorted({*globals(), *_ON_DEMAND})


def _choose_backend():
    """Keras reads its backend when it is imported, from KERAS_BACKEND or keras.json."""
    keras = sys.modules.get("keras")
    if keras is not None and keras.config.backend() != "tensorflow":
        raise ImportError(
            "pan_tf computes with TensorFlow, and Keras was imported with the backend "
            f"{keras.config.backend()} before it. Set KERAS_BACKEND=tensorflow."
        )
    asked = os.environ.get("KERAS_BACKEND", "tensorflow")
    if asked != "tensorflow":
        warnings.warn(
            f"KERAS_BACKEND={asked} is not used: pan_tf computes with TensorFlow.",
            stacklevel=3,
        )
    os.environ["KERAS_BACKEND"] = "tensorflow"


_choose_backend()
loading.install()
