"""pan_tf: image-to-image translation with perceptual adversarial networks.

Importing the package is light; TensorFlow is imported by the modules that need it.
"""

__version__ = "0.1.0"
