"""The same function with less to compute, for a T that is trained no more.

Batch normalization by moving averages is a scale and a shift for each channel: it goes
into the convolution before it. A 4x4 transposed convolution of stride 2 is a 2x2
convolution whose channels are the four phases of its output: on a CPU that is the faster
of the two, most of all on small images and for few channels.

Most weights stay variables: a graph that holds them takes seconds to load, since every
pass of TensorFlow's optimizer copies it. But only of a constant does oneDNN change the
order, in which neighbouring filters lie next to each other. Read in that order, a kernel
that a core's cache does not hold takes twice the time for a single image, and blocks of
its filters do not. So small kernels are constants, and large ones such blocks
(`benchmarks/serving.py`).
"""

import itertools
import math

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from pan_tf import runtime
from pan_tf.layers import BatchNormalization
from pan_tf.layers import Conv2D
from pan_tf.layers import Dropout
from pan_tf.layers import SymmetricConv2D

_CONSTANTS = 5 * 2**19  # Numbers of all kernels that are constants; 10 MiB.
_LARGE = 2**19  # Those of a variable that is in blocks,
_BLOCK = 2**18  # and of a block,
_FILTERS = 64  # which has at least so many filters.


class BlockConv2D(layers.Layer):
    """A convolution with a constant kernel, or with variables for blocks of its filters.

    Args:
        kernel: float32 `[height, width, channels, filters]`.
        bias: float32 `[filters]`.
        strides: as `tf.nn.conv2d`.
        padding: likewise.
        activation: of the output.
        is_constant: whether the kernel is.
        **kwargs: as `keras.layers.Layer`.
    """

    def __init__(
        self, kernel, bias, strides, padding, activation, is_constant=True, **kwargs
    ):
        super().__init__(**kwargs)
        self.strides, self.padding, self.activation = strides, padding, activation
        self.bias = self._variable(bias)
        filters = step = len(bias)
        is_large = not is_constant and kernel.size >= _LARGE
        if is_large and runtime.is_on_cpu():  # A GPU wants whole kernels.
            fits = _BLOCK // math.prod(kernel.shape[:3])
            step = max(fits // _FILTERS, 1) * _FILTERS
        keep = tf.constant if is_constant else self._variable
        self.blocks = [keep(kernel[..., i : i + step]) for i in range(0, filters, step)]

    def _variable(self, value):
        start = keras.initializers.Constant(value)
        return self.add_weight(shape=value.shape, initializer=start, trainable=False)

    def call(self, inputs):
        return self.activation(self.convolve(inputs))

    def convolve(self, inputs):
        """The convolution with its bias."""
        outputs = [
            tf.nn.conv2d(inputs, block, self.strides, self.padding)
            for block in self.blocks
        ]
        joined = outputs[0] if len(outputs) == 1 else tf.concat(outputs, -1)
        return tf.nn.bias_add(joined, self.bias)


class PhaseConv2D(BlockConv2D):
    """`Conv2DTranspose(filters, 4, strides=2, padding="same")` as one convolution.

    Output pixel 2i + a takes source pixels i + a - 1 and i + a, by taps 3 - a and 1 - a
    of the transposed kernel. A 2x2 convolution of the source, with a pixel of zeros
    around it, computes all four phases at every corner between source pixels; phase a of
    output 2i + a lies at corner i + a, so with phase 1 - a put first, depth to space
    yields the output with one pixel too many on every side.

    Args:
        kernel: float32 `[4, 4, filters, channels]`, as the transposed convolution's.
        bias: float32 `[filters]`.
        activation: of the output.
        is_constant: whether the kernel is.
        **kwargs: as `keras.layers.Layer`.
    """

    def __init__(self, kernel, bias, activation, is_constant=True, **kwargs):
        filters, channels = kernel.shape[2:]
        phases = np.empty((2, 2, channels, 2, 2, filters), np.float32)
        for row, column, down, right in np.ndindex(2, 2, 2, 2):
            tap = kernel[3 - row - 2 * down, 3 - column - 2 * right]
            phases[down, right, :, 1 - row, 1 - column] = tap.T
        phases = phases.reshape(2, 2, channels, 4 * filters)
        around = [[0, 0], [1, 1], [1, 1], [0, 0]]
        how = 1, around, activation, is_constant
        super().__init__(phases, np.tile(bias, 4), *how, **kwargs)

    def call(self, inputs):
        phases = tf.nn.depth_to_space(self.convolve(inputs), 2)
        return self.activation(phases[:, 1:-1, 1:-1])

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        twice = [None if size is None else 2 * size for size in (height, width)]
        return (batch, *twice, self.bias.shape[0] // 4)


def optimized(transformer):
    """A transformer that computes the same, up to rounding, at `training=False`.

    Args:
        transformer: functional `keras.Model`; it is left as it is.

    Returns:
        A functional `keras.Model` with weights of its own.
    """
    folded = _foldable(transformer)
    norms = {norm.name for norm in folded.values()}
    constants = _constants(transformer)

    def clone(layer):
        if layer.name in norms or isinstance(layer, Dropout):
            return layers.Identity(name=layer.name)
        if not isinstance(layer, layers.Conv2D | layers.Conv2DTranspose):
            return layer.__class__.from_config(layer.get_config())
        weights = _weights(layer, folded.get(layer.name))
        more = {"is_constant": layer.name in constants, "name": layer.name}
        if _is_phases(layer):
            return PhaseConv2D(*weights, layer.activation, **more)
        if padding := _padding(layer):
            how = layer.strides, padding, layer.activation
            return BlockConv2D(*weights, *how, **more)
        return layer.__class__.from_config({**layer.get_config(), "use_bias": True})

    network = keras.models.clone_model(
        transformer,
        clone_function=clone,
        # Without `training`, which Identity does not take.
        call_function=lambda layer, *args, **kwargs: layer(*args),
    )
    for layer in transformer.layers:
        twin = network.get_layer(layer.name) if layer.weights else None
        if not twin or isinstance(twin, BlockConv2D) or not twin.weights:
            continue
        if isinstance(layer, layers.Conv2D | layers.Conv2DTranspose):
            twin.set_weights(_weights(layer, folded.get(layer.name)))
        else:
            twin.set_weights(layer.get_weights())
    return network


def _foldable(transformer):
    """Name of a convolution -> the normalization that alone reads its output."""
    readers = {}
    for layer in transformer.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        for tensor in inputs:
            readers.setdefault(id(tensor), []).append(layer)
    return {
        layer.name: found[0]
        for layer in transformer.layers
        if isinstance(layer, layers.Conv2D | layers.Conv2DTranspose)
        and layer.activation is keras.activations.linear
        and len(found := readers.get(id(layer.output), [])) == 1
        and isinstance(found[0], BatchNormalization)
        and found[0].statistics == "moving"
    }


def _constants(transformer):
    """Names of the convolutions whose kernels are constants: those with the smallest."""
    found = sorted(
        (math.prod(layer.kernel.shape), layer.name)
        for layer in transformer.layers
        if _is_phases(layer) or _padding(layer)
    )
    sums = itertools.accumulate(size for size, _ in found)
    return {
        name for (_, name), sum_ in zip(found, sums, strict=True) if sum_ <= _CONSTANTS
    }


def _is_phases(layer):
    return (
        isinstance(layer, layers.Conv2DTranspose)
        and layer.kernel_size == (4, 4)
        and layer.strides == (2, 2)
        and layer.padding == "same"
    )


def _padding(layer):
    """As `tf.nn.conv2d` takes it; None where the convolution is of another kind."""
    if type(layer) is SymmetricConv2D:
        zeros = ([size // 2] * 2 for size in layer.kernel_size)
        return [[0, 0], *zeros, [0, 0]]
    is_plain = type(layer) in (layers.Conv2D, Conv2D)
    if not is_plain or (layer.groups, *layer.dilation_rate) != (1, 1, 1):
        return None
    return layer.padding.upper()


def _weights(layer, norm):
    """(kernel, bias) of a convolution, with its normalization folded in."""
    kernel = layer.kernel.numpy().astype(np.float64)
    bias = layer.bias.numpy().astype(np.float64) if layer.use_bias else 0.0
    is_transposed = isinstance(layer, layers.Conv2DTranspose)
    if norm is not None:
        gamma, beta, mean, variance = (
            np.asarray(v, np.float64)
            for v in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
        )
        scale = gamma / np.sqrt(variance + norm.epsilon)
        kernel = kernel * (scale[:, None] if is_transposed else scale)
        bias = (bias - mean) * scale + beta
    channels = kernel.shape[2 if is_transposed else 3]
    bias = np.broadcast_to(bias, (channels,))
    return kernel.astype(np.float32), bias.astype(np.float32)
