"""Which source pixels an output pixel of a transformer depends on.

Read off the layers of a functional model, by interval arithmetic; an upper bound. From it
follow the multiple to which a source must be padded, and how far tiles must overlap for
their outputs to equal those of the whole image.
"""

import dataclasses
import math

from keras import layers

from pan_tf.layers import BatchNormalization
from pan_tf.layers import Dropout
from pan_tf.layers import InstanceNormalization
from pan_tf.layers import ReflectionPadding2D
from pan_tf.layers import SymmetricConv2D

# Layers that look at one position at a time; of several inputs, at the same one.
_POINTWISE = (
    Dropout,
    layers.Activation,
    layers.Add,
    layers.BatchNormalization,
    layers.Concatenate,
    layers.Dropout,
    layers.Identity,
    layers.InputLayer,
    layers.LeakyReLU,
    layers.ReLU,
)


@dataclasses.dataclass(frozen=True)
class ReceptiveField:
    """Of one output pixel of a transformer.

    Attributes:
        multiple: height and width of a source must be multiples of it.
        radius: pixels, on every side, beyond which nothing matters; infinite if the
            whole image does, as where its own statistics normalize it.
        size: the only height and width of a source, where T knows no other; or None.
    """

    multiple: int
    radius: float
    size: int | None = None


@dataclasses.dataclass(frozen=True)
class _Span:
    """Element i depends on source pixels `i * step + low` to `i * step + high`."""

    step: float
    low: float
    high: float


def receptive_field(transformer):
    """The receptive field of a transformer, computed from its layers.

    Args:
        transformer: functional `keras.Model`, image -> image.

    Returns:
        `ReceptiveField`.

    Raises:
        TypeError: if it holds a layer that this module does not know.
    """
    size = transformer.input_shape[1]
    if size is not None:
        return ReceptiveField(size, math.inf, size)
    spans = _spans(transformer)
    coarsest = max(span.step for span in spans.values())
    # A map is mirrored by fewer pixels than it has.
    least = max(
        (
            spans[id(layer.input)].step * (layer.padding + 1)
            for layer in transformer.layers
            if isinstance(layer, ReflectionPadding2D)
        ),
        default=1,
    )
    multiple = math.ceil(least / coarsest) * int(coarsest)
    span = spans[id(transformer.outputs[0])]
    return ReceptiveField(multiple, max(-span.low, span.high))


def activation_bytes(transformer):
    """Bytes of all layers' outputs for a source pixel, in float32.

    An upper bound of what a pixel needs: outputs that nobody reads any more are dropped.

    Args:
        transformer: functional `keras.Model`, image -> image.
    """
    outputs = [layer.output for layer in transformer.layers]
    size = transformer.input_shape[1]
    if size is not None:
        return sum(4 * math.prod(tensor.shape[1:]) for tensor in outputs) / size**2
    spans = _spans(transformer)
    return sum(4 * tensor.shape[-1] / spans[id(tensor)].step ** 2 for tensor in outputs)


def _spans(transformer):
    """id of every layer's output -> its span."""
    spans = {}
    for layer in transformer.layers:
        if isinstance(layer, layers.InputLayer):
            spans[id(layer.output)] = _Span(1.0, 0.0, 0.0)
            continue
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        before = _union([spans[id(tensor)] for tensor in inputs])
        spans[id(layer.output)] = _through(layer, before)
    return spans


def _union(spans):
    steps = {span.step for span in spans}
    if len(steps) != 1:
        raise TypeError(f"Layers of strides {sorted(steps)} meet in one.")
    low, high = min(span.low for span in spans), max(span.high for span in spans)
    return _Span(steps.pop(), low, high)


def _through(layer, span):
    """The span of a layer's output, given its inputs'."""
    if isinstance(layer, BatchNormalization) and layer.statistics == "image":
        return _Span(span.step, -math.inf, math.inf)
    if isinstance(layer, InstanceNormalization):
        return _Span(span.step, -math.inf, math.inf)
    if isinstance(layer, ReflectionPadding2D):
        # A mirrored pixel comes from the other side of the border.
        reach = 2 * layer.padding * span.step
        return _Span(span.step, span.low - reach, span.high + reach)
    if isinstance(layer, layers.Cropping2D):
        first = layer.cropping[0][0] * span.step
        return _Span(span.step, span.low + first, span.high + first)
    if isinstance(layer, layers.UpSampling2D) and layer.interpolation == "nearest":
        # Element i repeats element i // size.
        step = span.step / layer.size[0]
        return _Span(step, span.low - span.step + step, span.high)
    if isinstance(layer, layers.Conv2DTranspose):
        # Output o takes inputs i with o + before = i * stride + tap.
        size, stride = layer.kernel_size[0], layer.strides[0]
        before = (size - stride) // 2 if layer.padding == "same" else 0
        step = span.step / stride
        low, high = (before - size + 1) * step, before * step
    elif isinstance(layer, layers.Conv2D):
        size, stride = layer.kernel_size[0], layer.strides[0]
        reach = (size - 1) * layer.dilation_rate[0] * span.step
        step = span.step * stride
        low, high = -reach, reach  # Wherever the padding is.
        if isinstance(layer, SymmetricConv2D):
            low, high = -reach / 2, reach / 2
    elif isinstance(layer, _POINTWISE):
        return span
    else:
        raise TypeError(
            f"The receptive field of {type(layer).__name__} ({layer.name}) is not known: "
            "add it to networks/receptive_field.py."
        )
    return _Span(step, span.low + low, span.high + high)
