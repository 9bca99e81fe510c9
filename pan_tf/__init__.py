"""pan_tf: image-to-image translation with perceptual adversarial networks.

    run = pan_tf.train(recipe="pan_fast", data_dir="pairs", image_size=128)
    run.evaluate()
    pan_tf.Translator("runs/mine")(pixels)
    pan_tf.metrics.ssim(reference, prediction)

Importing the package is light; TensorFlow is imported when a name that needs it is first
used.
"""

import importlib
import os
import sys
import warnings
from typing import TYPE_CHECKING

from pan_tf import loading

__version__ = "0.2.0"

# Public name -> the module that it comes from, as an attribute or as the module itself.
_ON_DEMAND = {
    "Config": "pan_tf.config",
    "Report": "pan_tf.interface",
    "Run": "pan_tf.interface",
    "Translator": "pan_tf.inference",
    "evaluate": "pan_tf.interface",
    "export": "pan_tf.export",
    "losses": "pan_tf.losses",
    "metrics": "pan_tf.metrics",
    "networks": "pan_tf.networks",
    "recipes": "pan_tf.recipes",
    "train": "pan_tf.interface",
    "translate": "pan_tf.interface",
}

__all__ = [
    "Config",
    "Report",
    "Run",
    "Translator",
    "__version__",
    "evaluate",
    "export",
    "losses",
    "metrics",
    "networks",
    "recipes",
    "train",
    "translate",
]


def __getattr__(name):
    if name not in _ON_DEMAND:
        raise AttributeError(f"module 'pan_tf' has no attribute {name!r}")
    module = importlib.import_module(_ON_DEMAND[name])
    loading.register()
    return module if module.__name__ == f"pan_tf.{name}" else getattr(module, name)


def __dir__():
    return sorted(__all__)


if TYPE_CHECKING:
    from pan_tf import losses
    from pan_tf import metrics
    from pan_tf import networks
    from pan_tf import recipes
    from pan_tf.config import Config
    from pan_tf.export import export
    from pan_tf.inference import Translator
    from pan_tf.interface import Report
    from pan_tf.interface import Run
    from pan_tf.interface import evaluate
    from pan_tf.interface import train
    from pan_tf.interface import translate


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
