"""AlexNet as torchvision has it, the eyes of LPIPS."""

import keras
from keras import layers

from pan_tf.networks.torch_files import entry
from pan_tf.networks.torch_files import read_state_dict
from pan_tf.networks.torch_files import set_weights

# Number in torchvision's `features` -> filters, kernel, stride, zeros on every side.
_CONVOLUTIONS = {
    0: (64, 11, 4, 2),
    3: (192, 5, 1, 2),
    6: (384, 3, 1, 1),
    8: (256, 3, 1, 1),
    10: (256, 3, 1, 1),
}
_POOLED_BEFORE = (3, 6)
ALEXNET_SMALLEST = 31  # Pixels a side, below which a pool has nothing left.


def alexnet_features(weights):
    """The five convolutions after their ReLU: relu1 to relu5.

    Args:
        weights: file of torchvision's state dictionary.

    Returns:
        A functional `keras.Model` in float32, float `[B, H, W, 3]`, normalized as
        torchvision does -> list of features `[B, h, w, c]`, of 64, 192, 384, 256 and 256
        channels; frozen.

    Raises:
        ValueError: if the file holds another network.
    """
    image = keras.Input((None, None, 3), name="image", dtype="float32")
    x, features, names = image, [], []
    for number, (filters, kernel, stride, zeros) in _CONVOLUTIONS.items():
        if number in _POOLED_BEFORE:
            x = layers.MaxPooling2D(3, 2, dtype="float32")(x)
        x = layers.ZeroPadding2D(zeros, dtype="float32")(x)
        names.append(f"features.{number}")
        x = layers.Conv2D(
            filters,
            kernel,
            stride,
            activation="relu",
            name=names[-1].replace(".", "_"),
            dtype="float32",
        )(x)
        features.append(x)
    model = keras.Model(image, features, name="alexnet")
    found = read_state_dict(weights)
    for name in names:
        kernel, bias = (entry(found, f"{name}.{each}") for each in ("weight", "bias"))
        set_weights(model, name.replace(".", "_"), [kernel.transpose(2, 3, 1, 0), bias])
    model.trainable = False
    return model
