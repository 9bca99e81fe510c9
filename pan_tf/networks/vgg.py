"""VGG-16 and VGG-19, trained on ImageNet: frozen, images are judged through them; as
classifiers they are trained further (VGG*).

The weights are those of `keras.applications`: trained on BGR in [0, 255] less the mean
colour ("caffe"). Fed anything else, the network still gives features, but nobody knows
what they mean; ID-CGAN's released code does just that.
"""

import warnings

import keras
from keras import layers

from pan_tf import files
from pan_tf import images
from pan_tf import paths
from pan_tf import runtime
from pan_tf.layers import leaky_relu
from pan_tf.networks.blocks import image_input
from pan_tf.networks.fetching import WeightsNotFoundError
from pan_tf.networks.fetching import digest
from pan_tf.networks.fetching import fetched

_OVERHEAD = 2**20  # Bytes of an HDF5 file around its weights, and to spare.
APPLICATIONS = {
    "vgg16": keras.applications.VGG16,
    "vgg19": keras.applications.VGG19,
}
# Hashes of the files that `keras.applications` downloads.
_MD5 = {
    "vgg16": "6d6bbae143d832006294945121d1f1fc",
    "vgg19": "253f8cb515780f3b799900260a226db6",
}
# relu1_1 to relu5_1.
CHANNELS = (64, 128, 256, 512, 512)
VGG_LAYERS = tuple(f"block{number}_conv1" for number in range(1, 6))

# ImageNet's standard deviation, the mean of its three channels', in levels of 8 bits.
_LEVELS_A_DEVIATION = images.PEAK * (0.229 + 0.224 + 0.225) / 3.0

# What the network is given of an image in [-1, 1].
_PREPROCESSING = {
    "caffe": images.to_caffe,
    "none": lambda image: image[..., ::-1],  # BGR, as ID-CGAN's whole pipeline.
}


@keras.saving.register_keras_serializable("pan_tf")
class VGGInput(layers.Layer):
    """float RGB `[B, H, W, 3]` in [-1, 1] -> what VGG is given.

    Args:
        preprocessing: "caffe", right for the weights, or "none": BGR in [-1, 1].
        **kwargs: as `keras.layers.Layer`.
    """

    def __init__(self, preprocessing, **kwargs):
        super().__init__(**kwargs)
        if preprocessing not in _PREPROCESSING:
            raise ValueError(
                f"`preprocessing` must be one of: {', '.join(_PREPROCESSING)}. "
                f"Received: preprocessing={preprocessing!r}."
            )
        self.preprocessing = preprocessing

    def call(self, inputs):
        return _PREPROCESSING[self.preprocessing](inputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "preprocessing": self.preprocessing}


def vgg_features(layer, preprocessing="caffe", weights=None, size=None, vgg="vgg16"):
    """One layer of a VGG, or several, as a function of images: frozen, float32.

    Args:
        layer: Keras' name of it, after its ReLU: "block2_conv2" is relu2_2. Or a tuple of
            names.
        preprocessing: "caffe" or "none".
        weights: file for all convolutions; None: as initialized, at random.
        size: pixels a side of the images, or (height, width); None for any.
        vgg: "vgg16" or "vgg19".

    Returns:
        A functional `keras.Model`, float `[B, H, W, 3]` in [-1, 1] -> features, a list of
        them for several layers; its weights are not trainable.

    Raises:
        ValueError: if the network has no such layer, for another `preprocessing`, or if
            the file does not hold the weights of the network's convolutions.
    """
    names = (layer,) if isinstance(layer, str) else layer
    model = _layers_of(vgg, False, names, preprocessing, weights, size, "_".join(names))
    model.trainable = False
    return model


def imagenet_features(layer, preprocessing="caffe", weights=None, vgg="vgg16"):
    """`vgg_features` with ImageNet's weights, which Keras downloads once.

    A perceptual loss for `compile`:
    `PerceptualLoss("block2_conv2").with_vgg(imagenet_features)`.

    Args:
        layer, preprocessing, vgg: as of `vgg_features`.
        weights: file to take in place of the download; None for that.

    Raises:
        ValueError: as `vgg_features`.
        WeightsNotFoundError: if there are none.
    """
    path, _ = locate_vgg_weights(weights, vgg)
    return vgg_features(layer, preprocessing, path, vgg=vgg)


def vgg_encoder(network="vgg19", star=False, weights=None, size=None):
    """f_1 to f_5 of the Perceptual Discriminators paper, Eq. (2) and (3): relu1_1 to
    relu5_1, of 64, 128, 256, 512 and 512 channels, each half as large as the one before.

    The published system sees through weights that were trained on images divided by
    ImageNet's standard deviation, ours on levels of 255: features, which grow with their
    input, are divided by the quotient, so that a trunk starts with what it would there.

    Args:
        network: "vgg19", as published, or "vgg16".
        star: whether pooling is by the mean and every ReLU leaks by 0.2, as in VGG*.
        weights: file for all convolutions; None: as initialized, at random.
        size: pixels a side of the images, or (height, width); None for any.

    Returns:
        A functional `keras.Model`, float `[B, H, W, 3]` in [-1, 1] -> list of features;
        float32; frozen if it has `weights`.

    Raises:
        ValueError: if the file does not hold the network's weights.
    """
    model = _layers_of(
        network, star, VGG_LAYERS, "caffe", weights, size, "encoder", _LEVELS_A_DEVIATION
    )
    model.trainable = weights is None
    return model


def vgg_classifier(network, star, classes, head="vgg", size=224):
    """A VGG that tells classes of images apart, to train: all weights at random.

    Args:
        network: "vgg16" or "vgg19".
        star: whether it is VGG*, its dense layers too.
        classes: number of them.
        head: "vgg", its own three dense layers, with dropout; or "pooled", one dense
            layer on the mean of each channel.
        size: height and width of the images in pixels.

    Returns:
        A functional `keras.Model`, float `[B, size, size, 3]` in [-1, 1] -> float32
        logits `[B, classes]`.
    """
    image = image_input(size, 3, "image")
    seen = VGGInput("caffe", name="preprocessing")(image)
    vgg = APPLICATIONS[network](include_top=False, weights=None, input_tensor=seen)
    if star:
        vgg = _starred(vgg)
    x = vgg.output
    if head == "vgg":
        x = layers.Flatten(name="flatten")(x)
        for name in ("fc1", "fc2"):
            activation = "leaky_relu" if star else "relu"
            x = layers.Dense(4096, activation=activation, name=name)(x)
            x = layers.Dropout(0.5)(x)
    else:
        x = layers.GlobalAveragePooling2D()(x)
    logits = layers.Dense(classes, dtype="float32", name="predictions")(x)
    return keras.Model(
        vgg.inputs[0], logits, name=f"{network}{'_star' * star}_classifier"
    )


def imagenet_classifier(network):
    """VGG as it was trained on ImageNet's classes, its dense layers too.

    Raises:
        WeightsNotFoundError: if its weights cannot be downloaded.
    """
    try:
        return APPLICATIONS[network](weights="imagenet")
    except Exception as error:  # Keras raises a bare Exception.
        raise WeightsNotFoundError(
            f"The ImageNet weights of {network.upper()}, dense layers too, cannot be "
            f"downloaded ({error}). A file of its convolutions, named by --vgg_weights, "
            "will do; dense layers begin at random then."
        ) from None


def convolutions(model):
    """The layers of a VGG that `--vgg_weights` is about, in order."""
    return [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]


def save_vgg_weights(classifier, path, network):
    """Writes the convolutions of a `vgg_classifier` to a file for --vgg_weights.

    Args:
        classifier: the model.
        path: ends in .weights.h5; written whole or not at all.
        network: "vgg16" or "vgg19".
    """
    vgg = APPLICATIONS[network](include_top=False, weights=None)
    vgg.set_weights(
        [w for layer in convolutions(classifier) for w in layer.get_weights()]
    )
    size = sum(weight.nbytes for weight in vgg.get_weights())
    with files.whole(path) as partial:
        files.reserve(partial, size + _OVERHEAD)
        vgg.save_weights(partial)


def _layers_of(network, star, names, preprocessing, weights, size, name, scale=None):
    """Layers of a VGG, divided by a scale if there is one, as a model in float32."""
    runtime.set_up_keras()
    with runtime.under_policy("float32"):
        image = image_input(size, 3, "image")
        seen = VGGInput(preprocessing, name="preprocessing")(image)
        vgg = APPLICATIONS[network](include_top=False, weights=None, input_tensor=seen)
        if star:
            vgg = _starred(vgg)
        if weights is not None:
            vgg.set_weights(check_vgg_weights(weights, network))
        if unknown := sorted({*names} - {layer.name for layer in vgg.layers}):
            raise ValueError(f"{network} has no layer {', '.join(unknown)}.")
        outputs = [vgg.get_layer(each).output for each in names]
        if scale is not None:
            rescale = layers.Rescaling(1.0 / scale)
            outputs = [rescale(output) for output in outputs]
        return keras.Model(
            vgg.inputs[0],
            outputs if len(outputs) > 1 else outputs[0],
            name=f"{network}{'_star' * star}_{name}",
        )


def _starred(vgg):
    """VGG*: the same network with average pooling and leaky ReLUs."""

    def clone(layer):
        config = layer.get_config()
        if isinstance(layer, layers.MaxPooling2D):
            return layers.AveragePooling2D(2, strides=2, name=layer.name)
        if isinstance(layer, layers.Conv2D):
            return layers.Conv2D.from_config({**config, "activation": leaky_relu})
        return type(layer).from_config(config)

    return keras.models.clone_model(vgg, clone_function=clone)


def check_vgg_weights(path, network="vgg16"):
    """All weights of a VGG's convolutions from a file, as a list.

    Raises:
        ValueError: if they are not in it; the message names it.
    """
    runtime.set_up_keras()
    vgg = APPLICATIONS[network](include_top=False, weights=None)
    try:
        with warnings.catch_warnings():
            # Keras only warns of layers that a file has no weights for.
            warnings.simplefilter("error", UserWarning)
            vgg.load_weights(path)
    except (OSError, ValueError, KeyError, UserWarning) as error:
        raise ValueError(
            "--vgg_weights must hold the weights of `keras.applications."
            f"{network.upper()}(include_top=False)`, as `save_weights` writes them. "
            f"Received: {path}: {str(error).splitlines()[0]}"
        ) from None
    return vgg.get_weights()


def locate_vgg_weights(path=None, network="vgg16"):
    """The file with a VGG's weights, fetched if need be.

    Args:
        path: file named by the user; None: those of `keras.applications`, which Keras
            downloads once and keeps.
        network: "vgg16" or "vgg19".

    Returns:
        (path, sha256 of its contents).

    Raises:
        WeightsNotFoundError: naming the file, or how to do without a download.
    """
    if path is None:
        name = f"{network}_weights_tf_dim_ordering_tf_kernels_notop.h5"
        url = f"https://storage.googleapis.com/tensorflow/keras-applications/{network}/"
        try:
            path = fetched(name, url + name, "models", file_hash=_MD5[network])
        except Exception as error:  # Keras raises a bare Exception.
            raise WeightsNotFoundError(
                f"ImageNet weights of {network.upper()} are needed, which cannot "
                f"be downloaded ({error}). Name a file of them, as `keras.applications."
                f"{network.upper()}(include_top=False).save_weights` writes it, by "
                "--vgg_weights=FILE."
            ) from None
    path = paths.named("vgg_weights", path)
    if not path.is_file():
        raise WeightsNotFoundError(f"--vgg_weights={path} is not there.")
    return str(path), digest(path)
