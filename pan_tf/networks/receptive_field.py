"""Which source pixels an output pixel of a transformer depends on.

Read off the layers of a functional model, by interval arithmetic; an upper bound. From it
follow the multiple to which a source must be padded, and how far tiles must overlap for
their outputs to equal those of the whole image. What is not known here is taken to look
at the whole image, which is then translated whole.
"""

import dataclasses
import math

import keras
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
    layers.Average,
    layers.BatchNormalization,
    layers.Concatenate,
    layers.Dropout,
    layers.ELU,
    layers.Identity,
    layers.InputLayer,
    layers.LeakyReLU,
    layers.Maximum,
    layers.Multiply,
    layers.PReLU,
    layers.ReLU,
    layers.Rescaling,
    layers.SpatialDropout2D,
    layers.Subtract,
)
_WINDOWS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)
_POOLS = (layers.AveragePooling2D, layers.MaxPooling2D)
_PROBE = 1024  # Pixels a side of an image at which outputs are asked for their size.


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
    """Element i depends on source pixels `i * step + low` to `i * step + high`.

    `step` is None of what has no place, such as a mean over the image.
    """

    step: float | None
    low: float
    high: float


def receptive_field(transformer):
    """The receptive field of a transformer, computed from its layers.

    Args:
        transformer: functional `keras.Model`, image -> image.

    Returns:
        `ReceptiveField`.

    Raises:
        ValueError: if maps of different strides meet in a layer.
    """
    size = transformer.input_shape[1]
    if size is not None:
        return ReceptiveField(size, math.inf, size)
    spans = _spans(transformer)
    coarsest = max(span.step for span in spans.values() if span.step is not None)
    # A map is mirrored by fewer pixels than it has.
    least = max(
        (
            spans[id(node.input_tensors[0])].step * (node.operation.padding + 1)
            for node in _nodes(transformer)
            if isinstance(node.operation, ReflectionPadding2D)
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
    outputs = [tensor for node in _nodes(transformer) for tensor in node.outputs]
    size = transformer.input_shape[1]
    if size is not None:
        return sum(4 * math.prod(tensor.shape[1:]) for tensor in outputs) / size**2
    spans = _spans(transformer)
    return sum(
        4 * tensor.shape[-1] / spans[id(tensor)].step ** 2
        for tensor in outputs
        if spans[id(tensor)].step is not None
    )


def _nodes(transformer):
    """Calls of a model's layers, each after those whose outputs it takes."""
    depths = transformer._nodes_by_depth
    return [node for depth in sorted(depths, reverse=True) for node in depths[depth]]


def _spans(transformer):
    """id of every layer's output -> its span."""
    spans, sides = {}, _sides(transformer)
    for node in _nodes(transformer):
        if isinstance(node.operation, layers.InputLayer):
            spans[id(node.outputs[0])] = _Span(1.0, 0.0, 0.0)
            continue
        inputs = node.input_tensors
        before = _union(node.operation, [spans[id(tensor)] for tensor in inputs])
        for tensor in node.outputs:
            side = sides[id(tensor)]
            after = None if before.step is None else _through(node.operation, before)
            if after is None:
                step = None if side is None else _step(before, sides, inputs, side)
                after = _Span(step, -math.inf, math.inf)
            spans[id(tensor)] = after
    return spans


def _sides(transformer):
    """id of every layer's output -> its height of an image of `_PROBE`; None: a point."""
    outputs = [tensor for node in _nodes(transformer) for tensor in node.outputs]
    channels = transformer.input_shape[-1]
    probe = keras.KerasTensor((1, _PROBE, _PROBE, channels))
    made = keras.Model(transformer.inputs, outputs).compute_output_spec(probe)
    shapes = [tensor.shape for tensor in made]
    return {
        id(tensor): shape[1] if len(shape) == 4 and shape[1] > 1 else None
        for tensor, shape in zip(outputs, shapes, strict=True)
    }


def _step(before, sides, inputs, side):
    """Source pixels from one element of an output of so many to the next."""
    if before.step is None:
        return float(round(_PROBE / side))
    largest = max(sides[id(t)] for t in inputs if sides[id(t)] is not None)
    if side <= largest:  # Without padding a few are lacking.
        return before.step * round(largest / side)
    return before.step / round(side / largest)


def _union(layer, spans):
    """The span of all inputs of a layer; what has no place goes with all that have."""
    steps = {span.step for span in spans} - {None}
    if len(steps) > 1:
        raise ValueError(
            f"Maps of strides {sorted(steps)} meet in the layer {layer.name!r}."
        )
    low, high = min(span.low for span in spans), max(span.high for span in spans)
    return _Span(steps.pop() if steps else None, low, high)


def _through(layer, span):
    """The span of a layer's output, given its inputs'; None: not known here."""
    if isinstance(layer, BatchNormalization) and layer.statistics == "image":
        return _Span(span.step, -math.inf, math.inf)
    if isinstance(layer, InstanceNormalization):
        return _Span(span.step, -math.inf, math.inf)
    if isinstance(layer, ReflectionPadding2D):
        # A mirrored pixel comes from the other side of the border.
        reach = 2 * layer.padding * span.step
        return _Span(span.step, span.low - reach, span.high + reach)
    if isinstance(layer, layers.Cropping2D):
        return _shifted(span, [rows[0] for rows in layer.cropping])
    if isinstance(layer, layers.ZeroPadding2D):
        return _shifted(span, [-rows[0] for rows in layer.padding])
    if isinstance(layer, _POINTWISE):
        return span
    if isinstance(layer, layers.UpSampling2D) and layer.interpolation == "nearest":
        size = _same(layer.size)
        if size is None:
            return None
        # Element i repeats element i // size.
        step = span.step / size
        return _Span(step, span.low - span.step + step, span.high)
    if isinstance(layer, layers.Conv2DTranspose):
        stride, size = _same(layer.strides), _same(layer.kernel_size)
        if None in (stride, size) or max(layer.dilation_rate) > 1:
            return None
        # Output o takes inputs i with o + before = i * stride + tap.
        before = (size - stride) // 2 if layer.padding == "same" else 0
        step = span.step / stride
        low, high = (before - size + 1) * step, before * step
    elif isinstance(layer, _WINDOWS + _POOLS):
        is_pool = isinstance(layer, _POOLS)
        size = max(layer.pool_size if is_pool else layer.kernel_size)
        dilation = 1 if is_pool else max(layer.dilation_rate)
        stride = _same(layer.strides)
        if stride is None:
            return None
        reach = (size - 1) * dilation * span.step
        step = span.step * stride
        low, high = -reach, reach  # Wherever the padding is.
        if isinstance(layer, SymmetricConv2D):
            low, high = -reach / 2, reach / 2
    else:
        return None
    return _Span(step, span.low + low, span.high + high)


def _shifted(span, elements):
    """A span whose element i is element i plus one of these numbers, of its input."""
    least, most = min(elements) * span.step, max(elements) * span.step
    return _Span(span.step, span.low + least, span.high + most)


def _same(both):
    """The number that height and width have in common; None if they have none."""
    return both[0] if both[0] == both[1] else None
