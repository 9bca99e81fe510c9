"""VGG-16, trained on ImageNet, as a frozen judge of images.

The weights are those of `keras.applications`: trained on BGR in [0, 255] less the mean
colour ("caffe"). Fed anything else, the network still gives features, of which nobody
knows what they mean; ID-CGAN's released code does just that.
"""

import functools
import hashlib
import pathlib
import warnings

import keras
from keras import layers

from pan_tf import images

# What the network is given of an image in [-1, 1].
_PREPROCESSING = {
    "caffe": images.to_caffe,
    "none": lambda image: image[..., ::-1],  # BGR, as ID-CGAN's whole pipeline.
}


class WeightsNotFoundError(Exception):
    """The ImageNet weights are not on disk, and could not be fetched."""


@keras.saving.register_keras_serializable("pan_tf")
class VGGInput(layers.Layer):
    """float RGB `[B, H, W, 3]` in [-1, 1] -> what VGG is given.

    Args:
        preprocessing: "caffe", right for the weights, or "none": BGR in [-1, 1].
        **kwargs: as `keras.layers.Layer`.
    """

    def __init__(self, preprocessing, **kwargs):
        super().__init__(**kwargs)
        self.preprocessing = preprocessing

    def call(self, inputs):
        return _PREPROCESSING[self.preprocessing](inputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "preprocessing": self.preprocessing}


def vgg_features(layer, preprocessing="caffe", weights=None, size=None):
    """One layer of VGG-16 as a function of images: frozen, float32.

    Args:
        layer: Keras' name of it, after its ReLU: "block2_conv2" is relu2_2.
        preprocessing: "caffe" or "none".
        weights: file for all 13 convolutions; None: as initialized, at random.
        size: height and width of the images in pixels; None for any.

    Returns:
        A functional `keras.Model`, float `[B, H, W, 3]` in [-1, 1] -> features; its
        weights are not trainable.

    Raises:
        ValueError: if the file does not hold the weights of VGG-16's convolutions.
    """
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        image = keras.Input((size, size, 3), name="image")
        seen = VGGInput(preprocessing, name="preprocessing")(image)
        vgg = keras.applications.VGG16(False, weights=None, input_tensor=seen)
        if weights is not None:
            vgg.set_weights(check_vgg_weights(weights))
        output = vgg.get_layer(layer).output
        network = keras.Model(image, output, name=f"vgg16_{layer}")
    finally:
        keras.config.set_dtype_policy(policy)
    network.trainable = False
    return network


def check_vgg_weights(path):
    """All weights of VGG-16's convolutions from a file, as a list.

    Raises:
        ValueError: if they are not in it; the message names it.
    """
    vgg = keras.applications.VGG16(include_top=False, weights=None)
    try:
        with warnings.catch_warnings():
            # Keras only warns of layers that a file has no weights for.
            warnings.simplefilter("error", UserWarning)
            vgg.load_weights(path)
    except (OSError, ValueError, KeyError, UserWarning) as error:
        raise ValueError(
            "--vgg_weights must hold the weights of `keras.applications.VGG16("
            "include_top=False)`, as `save_weights` writes them. Received: "
            f"{path}: {str(error).splitlines()[0]}"
        ) from None
    return vgg.get_weights()


@functools.cache
def locate_vgg_weights(path=None):
    """The file with VGG-16's weights, fetched if need be.

    Args:
        path: file named by the user; None: those of `keras.applications`, which Keras
            downloads once and keeps.

    Returns:
        (path, sha256 of its contents).

    Raises:
        WeightsNotFoundError: naming the file, or how to do without a download.
    """
    if path is None:
        name = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
        url = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg16/{name}"
        try:
            path = keras.utils.get_file(
                name,
                url,
                cache_subdir="models",
                file_hash="6d6bbae143d832006294945121d1f1fc",
            )
        except Exception as error:  # Keras raises a bare Exception.
            raise WeightsNotFoundError(
                "The perceptual loss needs ImageNet weights of VGG-16, which cannot be "
                f"downloaded ({error}). Name a file of them, as `keras.applications."
                "VGG16(include_top=False).save_weights` writes it, by --vgg_weights=FILE."
            ) from None
    if not pathlib.Path(path).is_file():
        raise WeightsNotFoundError(f"--vgg_weights={path} is not there.")
    with open(path, "rb") as file:
        return str(path), hashlib.file_digest(file, "sha256").hexdigest()
