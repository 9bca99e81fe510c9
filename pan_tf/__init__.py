"""pan_tf: image-to-image translation with perceptual adversarial networks.

Importing the package is light; TensorFlow is imported by the modules that need it, and by
`pan_tf.Translator` when it is first used.
"""

__version__ = "0.1.0"


def __getattr__(name):
    if name == "Translator":
        from pan_tf.inference import Translator

        return Translator
    raise AttributeError(f"module 'pan_tf' has no attribute {name!r}")
