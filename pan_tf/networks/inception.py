"""The Inception network that published FIDs and KIDs look through.

Inception-v3 of TensorFlow's release of 2015-12-05, as pytorch-fid (Seitzer) has it for
PyTorch: averages leave the zeros at the border out, and the last block takes a maximum
where the one before takes an average. Names are those of its state dictionary.
"""

import keras
from keras import layers

from pan_tf.networks.torch_files import entry
from pan_tf.networks.torch_files import read_state_dict
from pan_tf.networks.torch_files import set_weights

SIZE = 299  # Pixels a side that images are brought to.
NUM_FEATURES = 2048


def inception_features(weights):
    """The last mean over positions, "pool3".

    Args:
        weights: file of pytorch-fid's state dictionary.

    Returns:
        A functional `keras.Model` in float32, float `[B, H, W, 3]` in [-1, 1], which it
        resizes to 299 x 299 bilinearly, without anti-aliasing -> `[B, 2048]`; frozen.

    Raises:
        ValueError: if the file holds another network.
    """
    image = keras.Input((None, None, 3), name="image", dtype="float32")
    net = _Builder()
    x = layers.Resizing(SIZE, SIZE, "bilinear", dtype="float32")(image)
    x = net.conv(x, "Conv2d_1a_3x3", 32, 3, stride=2)
    x = net.conv(x, "Conv2d_2a_3x3", 32, 3)
    x = net.conv(x, "Conv2d_2b_3x3", 64, 3, same=True)
    x = net.max_pool(x)
    x = net.conv(x, "Conv2d_3b_1x1", 80, 1)
    x = net.conv(x, "Conv2d_4a_3x3", 192, 3)
    x = net.max_pool(x)
    for name, pooled in (("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)):
        x = net.block_a(x, name, pooled)
    x = net.block_b(x, "Mixed_6a")
    for name, inner in zip("bcde", (128, 160, 160, 192), strict=True):
        x = net.block_c(x, f"Mixed_6{name}", inner)
    x = net.block_d(x, "Mixed_7a")
    x = net.block_e(x, "Mixed_7b", net.average)
    x = net.block_e(x, "Mixed_7c", net.max_same)
    x = layers.GlobalAveragePooling2D(dtype="float32")(x)
    model = keras.Model(image, x, name="inception")
    found = read_state_dict(weights)
    for name in net.names:
        _take(model, name, found)
    model.trainable = False
    return model


def _take(model, name, found):
    layer = name.replace(".", "_")
    kernel = entry(found, f"{name}.conv.weight").transpose(2, 3, 1, 0)
    set_weights(model, layer, [kernel])
    norm = ("weight", "bias", "running_mean", "running_var")
    arrays = [entry(found, f"{name}.bn.{each}") for each in norm]
    set_weights(model, f"{layer}_norm", arrays)


class _Builder:
    """Layers of the network, whose names it remembers."""

    def __init__(self):
        self.names = []

    def conv(self, x, name, filters, kernel, stride=1, same=False):
        """Convolution without a bias, normalization, ReLU."""
        self.names.append(name)
        layer = name.replace(".", "_")
        x = layers.Conv2D(
            filters,
            kernel,
            stride,
            padding="same" if same else "valid",
            use_bias=False,
            name=layer,
            dtype="float32",
        )(x)
        x = layers.BatchNormalization(
            epsilon=1e-3, name=f"{layer}_norm", dtype="float32"
        )(x)
        return layers.ReLU(dtype="float32")(x)

    def chain(self, x, name, *steps):
        """Convolutions one after the other: (suffix, filters, kernel), as large as x."""
        for suffix, filters, kernel in steps:
            x = self.conv(x, f"{name}.{suffix}", filters, kernel, same=True)
        return x

    def max_pool(self, x):
        """3x3 maximum of stride 2."""
        return layers.MaxPooling2D(3, 2, dtype="float32")(x)

    def average(self, x):
        """3x3 mean over what there is."""
        return layers.AveragePooling2D(3, 1, "same", dtype="float32")(x)

    def max_same(self, x):
        """3x3 maximum of stride 1."""
        return layers.MaxPooling2D(3, 1, "same", dtype="float32")(x)

    def join(self, *parts):
        """Channels one behind the other."""
        return layers.Concatenate(dtype="float32")(list(parts))

    def block_a(self, x, name, pooled):
        return self.join(
            self.chain(x, name, ("branch1x1", 64, 1)),
            self.chain(x, name, ("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)),
            self.chain(
                x,
                name,
                ("branch3x3dbl_1", 64, 1),
                ("branch3x3dbl_2", 96, 3),
                ("branch3x3dbl_3", 96, 3),
            ),
            self.chain(self.average(x), name, ("branch_pool", pooled, 1)),
        )

    def block_b(self, x, name):
        double = self.chain(x, name, ("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3))
        return self.join(
            self.conv(x, f"{name}.branch3x3", 384, 3, 2),
            self.conv(double, f"{name}.branch3x3dbl_3", 96, 3, 2),
            self.max_pool(x),
        )

    def block_c(self, x, name, inner):
        across, down = (1, 7), (7, 1)
        return self.join(
            self.chain(x, name, ("branch1x1", 192, 1)),
            self.chain(
                x,
                name,
                ("branch7x7_1", inner, 1),
                ("branch7x7_2", inner, across),
                ("branch7x7_3", 192, down),
            ),
            self.chain(
                x,
                name,
                ("branch7x7dbl_1", inner, 1),
                ("branch7x7dbl_2", inner, down),
                ("branch7x7dbl_3", inner, across),
                ("branch7x7dbl_4", inner, down),
                ("branch7x7dbl_5", 192, across),
            ),
            self.chain(self.average(x), name, ("branch_pool", 192, 1)),
        )

    def block_d(self, x, name):
        single = self.chain(x, name, ("branch3x3_1", 192, 1))
        seven = self.chain(
            x,
            name,
            ("branch7x7x3_1", 192, 1),
            ("branch7x7x3_2", 192, (1, 7)),
            ("branch7x7x3_3", 192, (7, 1)),
        )
        return self.join(
            self.conv(single, f"{name}.branch3x3_2", 320, 3, 2),
            self.conv(seven, f"{name}.branch7x7x3_4", 192, 3, 2),
            self.max_pool(x),
        )

    def block_e(self, x, name, pool):
        def forked(x, stem):
            return [
                self.conv(x, f"{name}.{stem}a", 384, (1, 3), same=True),
                self.conv(x, f"{name}.{stem}b", 384, (3, 1), same=True),
            ]

        single = self.chain(x, name, ("branch3x3_1", 384, 1))
        double = self.chain(
            x, name, ("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3)
        )
        return self.join(
            self.chain(x, name, ("branch1x1", 320, 1)),
            *forked(single, "branch3x3_2"),
            *forked(double, "branch3x3dbl_3"),
            self.chain(pool(x), name, ("branch_pool", 192, 1)),
        )
