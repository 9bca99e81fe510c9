"""Convolutions, padding and activations as the original implementations have them."""

import keras
import tensorflow as tf

from pan_tf.layers import im2col
from pan_tf.layers import winograd


def check_channels_last(layer):
    """Refuses a layer whose images would be NCHW.

    Raises:
        ValueError: naming `data_format`.
    """
    if layer.data_format != "channels_last":
        raise ValueError(
            f"`data_format` of {type(layer).__name__} must be channels_last. "
            f"Received: data_format={layer.data_format!r}."
        )


def _with_bias(layer, outputs):
    if layer.use_bias:  # Keras adds it by a kernel that is slower.
        outputs = tf.nn.bias_add(outputs, layer.bias)
    return outputs if layer.activation is None else layer.activation(outputs)


@keras.saving.register_keras_serializable("pan_tf")
class Conv2D(keras.layers.Conv2D):
    """Convolution, trained by what takes less time.

    With fewer multiplications (`winograd.py`), or as a product of matrices (`im2col.py`),
    where that pays; outside of training it is Keras' own.

    Args:
        filters, kernel_size: as `keras.layers.Conv2D`.
        **kwargs: as `keras.layers.Conv2D`, without `groups`, `dilation_rate` and
            `data_format`.

    Raises:
        ValueError: if one of those three is given a value other than its default.
    """

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(filters, kernel_size, **kwargs)
        # TensorFlow has no gradient of the other ones on CPUs.
        if self.groups != 1 or self.dilation_rate != (1, 1):
            raise ValueError(
                "`groups` and `dilation_rate` must be 1. Received: "
                f"groups={self.groups}, dilation_rate={self.dilation_rate}."
            )
        check_channels_last(self)

    def window(self, sizes):
        """`im2col.Window` over images of these sizes."""
        return im2col.window(self.kernel, self.strides, self.padding, sizes)

    def call(self, inputs, training=False):
        ways = im2col.Ways()
        if training:
            shape = self.compute_output_shape(inputs.shape)
            ways = im2col.pays(shape, self.kernel, self.strides, inputs.dtype)
        if training and winograd.pays(inputs, self.kernel, self.strides):
            (zeros, _), _ = self.window(inputs.shape[1:3]).padding
            outputs = winograd.convolve(inputs, self.kernel, zeros)
        elif any(ways):
            window = self.window(inputs.shape[1:3])
            outputs = im2col.convolve(inputs, self.kernel, window, ways)
        elif self.padding == "same":
            # oneDNN would join the convolution with the faster bias, and round otherwise
            # than the results that are published.
            return super().call(inputs)
        else:
            outputs = self.convolution_op(inputs, self.kernel)
        return _with_bias(self, outputs)


@keras.saving.register_keras_serializable("pan_tf")
class SymmetricConv2D(Conv2D):
    """Convolution with `(kernel_size - 1) // 2` zeros on *every* side of its input.

    Torch and Lasagne pad symmetrically. Keras' `padding="same"` puts the odd row and
    column of a stride-2 convolution at the bottom and right only, which computes
    another function than the 3x3 stride-2 layers of the paper's Tables I and II.

    Args:
        filters: number of output channels.
        kernel_size: odd number, height and width of the kernel.
        **kwargs: as `Conv2D`, without `padding`.

    Raises:
        ValueError: as `Conv2D`, and if the kernel size is even or a padding is given.
    """

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(filters, kernel_size, **kwargs)
        if self.padding != "valid":
            raise ValueError(
                f"SymmetricConv2D takes no padding. Received: padding={self.padding!r}."
            )
        if any(size % 2 == 0 for size in self.kernel_size):
            raise ValueError(
                f"`kernel_size` must be odd. Received: kernel_size={kernel_size}."
            )

    def window(self, sizes):
        padding = tuple((size // 2, size // 2) for size in self.kernel_size)
        return im2col.Window(self.kernel_size, self.strides, padding)

    def convolution_op(self, inputs, kernel):
        if self.strides == (1, 1):  # Symmetric by itself.
            return tf.nn.conv2d(inputs, kernel, 1, "SAME")
        return im2col.convolve(inputs, kernel, self.window(None), im2col.Ways())

    def compute_output_shape(self, input_shape):
        batch, *spatial, _ = input_shape
        steps = zip(spatial, self.strides, strict=True)
        sizes = [None if size is None else -(-size // stride) for size, stride in steps]
        return (batch, *sizes, self.filters)


@keras.saving.register_keras_serializable("pan_tf")
class Conv2DTranspose(keras.layers.Conv2DTranspose):
    """Transposed convolution, trained by what takes less time, as `Conv2D`.

    Args:
        filters, kernel_size: as `keras.layers.Conv2DTranspose`.
        **kwargs: as `keras.layers.Conv2DTranspose`, without `output_padding`,
            `dilation_rate` and `data_format`.

    Raises:
        ValueError: if one of those three is given a value other than its default.
    """

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(filters, kernel_size, **kwargs)
        if self.output_padding is not None or self.dilation_rate != (1, 1):
            raise ValueError(
                "`output_padding` must be None, `dilation_rate` 1. Received: "
                f"output_padding={self.output_padding}, "
                f"dilation_rate={self.dilation_rate}."
            )
        check_channels_last(self)

    def call(self, inputs, training=False):
        ways = im2col.pays(inputs.shape, self.kernel, self.strides, inputs.dtype)
        if not training or not any(ways):
            return super().call(inputs)
        sizes = self.compute_output_shape(inputs.shape)[1:3]
        window = im2col.window(self.kernel, self.strides, self.padding, sizes)
        outputs = im2col.convolve_transposed(inputs, self.kernel, window, sizes, ways)
        return _with_bias(self, outputs)


@keras.saving.register_keras_serializable("pan_tf")
class ReflectionPadding2D(keras.layers.Layer):
    """Mirrors an image at its border, without repeating the border itself.

    Args:
        padding: pixels on every side, fewer than the image has.
        **kwargs: as `keras.layers.Layer`.
    """

    def __init__(self, padding, **kwargs):
        super().__init__(**kwargs)
        self.padding = padding

    def call(self, inputs):
        pad = [self.padding, self.padding]
        return tf.pad(inputs, [[0, 0], pad, pad, [0, 0]], "REFLECT")

    def compute_output_shape(self, input_shape):
        batch, *spatial, channels = input_shape
        padded = [size and size + 2 * self.padding for size in spatial]
        return (batch, *padded, channels)

    def get_config(self):
        return {**super().get_config(), "padding": self.padding}


@keras.saving.register_keras_serializable("pan_tf")
class Cropping2D(keras.layers.Cropping2D):
    """Takes rows and columns away at the border.

    Keras' layer takes a strided slice, whose gradient has a slow kernel on CPUs; that of
    a plain one is padding.

    Args:
        **kwargs: as `keras.layers.Cropping2D`, channels last.

    Raises:
        ValueError: for another `data_format`.
    """

    def __init__(self, cropping=((0, 0), (0, 0)), **kwargs):
        super().__init__(cropping, **kwargs)
        check_channels_last(self)

    def call(self, inputs):
        (top, bottom), (left, right) = self.cropping
        size = tf.shape(inputs) - [0, top + bottom, left + right, 0]
        return tf.slice(inputs, [0, top, left, 0], size)


@keras.saving.register_keras_serializable("pan_tf")
def leaky_relu(inputs, negative_slope=0.2):
    """max(x, slope * x), whose gradient is taken from its output.

    Keras' own keeps its input until the gradient, although the output, which the next
    layer keeps anyway, has the same signs.

    Args:
        inputs: float tensor.
        negative_slope: above 0, else the output's sign says too little.
    """

    @tf.custom_gradient
    def activate(x):
        y = tf.nn.leaky_relu(x, negative_slope)
        return y, lambda dy: tf.raw_ops.LeakyReluGrad(
            gradients=dy, features=y, alpha=negative_slope
        )

    return activate(inputs)


@keras.saving.register_keras_serializable("pan_tf")
class LeakyReLU(keras.layers.LeakyReLU):
    """`leaky_relu` as a layer.

    Args:
        negative_slope: above 0.
        **kwargs: as `keras.layers.LeakyReLU`.

    Raises:
        ValueError: for another slope.
    """

    def __init__(self, negative_slope=0.2, **kwargs):
        super().__init__(negative_slope=negative_slope, **kwargs)
        if not self.negative_slope > 0.0:
            raise ValueError(
                "`negative_slope` must be above 0. "
                f"Received: negative_slope={negative_slope}."
            )

    def call(self, inputs):
        return leaky_relu(inputs, self.negative_slope)


@keras.saving.register_keras_serializable("pan_tf")
class SymmetricAveragePooling2D(keras.layers.Layer):
    """3x3 average of stride 2 around every other pixel; the border is not counted in.

    Torch's `AvgPool2d(3, 2, padding=1, count_include_pad=False)`; Keras' "same" would
    average around the pixels between them.
    """

    def call(self, inputs):
        around = [[0, 0], [1, 1], [1, 1], [0, 0]]

        def total(x):
            return 9.0 * tf.nn.avg_pool2d(tf.pad(x, around), 3, 2, "VALID")

        return total(inputs) / total(tf.ones_like(inputs[:1, :, :, :1]))

    def compute_output_shape(self, input_shape):
        batch, *spatial, channels = input_shape
        return (batch, *(size and -(-size // 2) for size in spatial), channels)
