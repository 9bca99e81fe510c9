"""Slow NumPy twins, in float64, of networks that nobody published.

Written from the papers' tables and equations, with our networks' weights.

Images are NHWC. `Weights(network)` gives layers by name.
"""

import numpy as np


class Weights:
    """A network's weights in float64: `weights["layer_1", "kernel"]`."""

    def __init__(self, network):
        self._found = {
            (layer.name, variable.name): variable.numpy().astype(float)
            for layer in network.layers
            for variable in layer.weights
        }

    def __getitem__(self, key):
        return self._found[key]

    def conv(self, x, layer, stride=1, pad=0):
        """A convolution with zeros around its input, and its bias if it has one."""
        x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        kernel = self[layer, "kernel"]
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], (1, 2))
        windows = windows[:, ::stride, ::stride]
        y = np.einsum("bhwcij,ijco->bhwo", windows, kernel, optimize=True)
        return y + self._found.get((layer, "bias"), 0.0)

    def doubled(self, x, layer):
        """A 4x4 transposed convolution of stride 2: each pixel stamps the kernel."""
        kernel = self[layer, "kernel"]  # (h, w, out, in)
        batch, height, width, _ = x.shape
        y = np.zeros((batch, 2 * height + 2, 2 * width + 2, kernel.shape[2]))
        for i in range(4):
            for j in range(4):
                stamp = x @ kernel[i, j].T
                y[:, i : i + 2 * height : 2, j : j + 2 * width : 2] += stamp
        return y[:, 1:-1, 1:-1] + self._found.get((layer, "bias"), 0.0)

    def norm(self, x, layer, epsilon=1e-4):
        """Batch normalization by the batch."""
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        normal = (x - mean) / np.sqrt(variance + epsilon)
        return normal * self[layer, "gamma"] + self[layer, "beta"]


def relu(x):
    return np.maximum(x, 0.0)


def leaky(x):
    return np.where(x > 0.0, x, 0.2 * x)


def pool(x, reduce):
    """2x2 pools of stride 2 by `np.mean` or `np.max`."""
    batch, height, width, channels = x.shape
    blocks = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return reduce(blocks, axis=(2, 4))


def pan_transformer(weights, x):
    """Table II: (leaky ReLU, convolution, BN) down, (deconvolution, BN, ReLU) up."""
    x, encoded = weights.conv(x, "layer_1", 2, 1), []
    for n in range(2, 7):
        x = weights.norm(weights.conv(leaky(x), f"layer_{n}", 2, 1), f"layer_{n}_norm")
        encoded.append(x)
    x = leaky(x)
    for n, skip in zip(range(7, 11), (3, 2, 1, 0), strict=True):
        x = weights.norm(weights.doubled(x, f"layer_{n}"), f"layer_{n}_norm")
        x = relu(np.concatenate([x, encoded[skip]], -1))
    x = relu(weights.norm(weights.doubled(x, "layer_11"), "layer_11_norm"))
    return np.tanh(weights.doubled(x, "layer_12"))


def pan_discriminator(weights, x, first=leaky, last=leaky):
    """Table I: (logit `[B, 1]`, d_1 to d_4)."""
    x = first(weights.conv(x, "layer_1", 1, 1))
    features = [x]
    for n, stride in zip(range(2, 9), (2, 1, 2, 1, 2, 1, 2), strict=True):
        x = weights.norm(weights.conv(x, f"layer_{n}", stride, 1), f"layer_{n}_norm")
        x = leaky(x)
        if n in (4, 6, 8):
            features.append(x)
    x = last(weights.conv(x, "layer_9", 2, 1))
    logit = x.reshape(len(x), -1) @ weights["layer_10", "kernel"]
    return logit + weights["layer_10", "bias"], features


def perceptual_discriminator(weights, maps, heads):
    """Eq. (4) to (6) as printed: stack[f(h), f_i]; logits of maps of `heads` px."""
    x, *joining = maps
    logits, stage = [], 1
    while x.shape[1] > min(heads):
        x = pool(leaky(weights.conv(x, f"layer_{stage}", 1, 1)), np.mean)
        if joining:
            x = np.concatenate([x, joining.pop(0)], -1)
        if x.shape[1] in heads:
            hidden = leaky(weights.conv(x, f"layer_{stage}_head_1", 1, 1))
            logits.append(weights.conv(hidden, f"layer_{stage}_head_2"))
        stage += 1
    return logits


def image_discriminator(weights, x, stages, heads):
    """The released trunk on an image alone: 4x4 stages, 3x3 heads, one of the whole."""
    logits = []
    for stage in range(1, stages + 1):
        x = leaky(weights.conv(x, f"layer_{stage}", 2, 1))
        if x.shape[1] in heads:
            logits.append(weights.conv(x, f"layer_{stage}_head", 1, 1))
    if 1 in heads:
        logits.append(weights.conv(x, f"layer_{stages + 1}"))
    return logits


def separate_discriminators(weights, x):
    """pix2pixHD: a PatchGAN on the image, another on its 3x3 averages of stride 2."""
    logits = []
    for prefix, image in (("", x), ("scale_1_", averages(x))):
        for n, stride in zip(range(1, 5), (2, 2, 2, 1), strict=True):
            image = weights.conv(image, f"layer_{prefix}{n}", stride, 2)
            if n > 1:
                mean = image.mean((1, 2), keepdims=True)
                variance = image.var((1, 2), keepdims=True)
                image = (image - mean) / np.sqrt(variance + 1e-5)
            image = leaky(image)
        logits.append(weights.conv(image, f"layer_{prefix}5", 1, 2))
    return logits


def averages(x):
    """Torch's AvgPool2d(3, 2, padding=1, count_include_pad=False), pixel by pixel."""
    height, width = (-(-size // 2) for size in x.shape[1:3])
    y = np.zeros((len(x), height, width, x.shape[-1]))
    for i in range(height):
        for j in range(width):
            rows = slice(max(2 * i - 1, 0), 2 * i + 2)
            columns = slice(max(2 * j - 1, 0), 2 * j + 2)
            y[:, i, j] = x[:, rows, columns].mean((1, 2))
    return y


def vgg(weights, image, blocks, star):
    """relu1_1 to relu5_1 of an image in [-1, 1]; BGR levels less the mean colour.

    Args:
        blocks: convolutions in each of the blocks: (2, 2, 4, 4) of VGG-19.
        star: VGG*: the mean in place of the largest, a leak in place of none.
    """
    x = (image + 1.0) * 127.5
    x = x[..., ::-1] - np.array([103.939, 116.779, 123.68])
    activate, reduce = (leaky, np.mean) if star else (relu, np.max)
    found = []
    for block, count in enumerate((*blocks, 1), start=1):
        for n in range(1, count + 1):
            x = activate(weights.conv(x, f"block{block}_conv{n}", 1, 1))
            if n == 1:
                found.append(x)
        x = pool(x, reduce) if block < 5 else x
    return found
