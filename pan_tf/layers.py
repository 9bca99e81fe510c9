"""Layers that Keras does not have, or not as the original implementations had them.

Images are NHWC. Every layer here computes the same function on one replica and on
many: a batch split over replicas gives the result of the whole batch.
"""

import random

import keras
import tensorflow as tf

from pan_tf import images


@keras.saving.register_keras_serializable("pan_tf")
class SymmetricConv2D(keras.layers.Conv2D):
    """Convolution with `(kernel_size - 1) // 2` zeros on *every* side of its input.

    Torch and Lasagne pad symmetrically. Keras' `padding="same"` puts the odd row and
    column of a stride-2 convolution at the bottom and right only, which computes
    another function than the 3x3 stride-2 layers of the paper's Tables I and II.

    Args:
        filters: number of output channels.
        kernel_size: odd number, height and width of the kernel.
        **kwargs: as `keras.layers.Conv2D`, except `padding`.

    Raises:
        ValueError: if the kernel size is even, or `padding` is given.
    """

    def __init__(self, filters, kernel_size, **kwargs):
        kwargs.setdefault("padding", "valid")
        super().__init__(filters, kernel_size, **kwargs)
        if any(size % 2 == 0 for size in self.kernel_size):
            raise ValueError(
                f"`kernel_size` must be odd. Received: kernel_size={kernel_size}."
            )
        if self.padding != "valid" or self.data_format != "channels_last":
            raise ValueError(
                "SymmetricConv2D pads by itself, channels last. Received: "
                f"padding={self.padding!r}, data_format={self.data_format!r}."
            )

    def convolution_op(self, inputs, kernel):
        if self.strides == (1, 1):
            return tf.nn.conv2d(inputs, kernel, 1, "SAME")  # Symmetric by itself.
        return _strided_convolution(inputs, kernel, self.strides)

    def call(self, inputs):
        outputs = self.convolution_op(inputs, self.kernel)
        return tf.nn.bias_add(outputs, self.bias) if self.use_bias else outputs

    def compute_output_shape(self, input_shape):
        batch, *spatial, _ = input_shape
        steps = zip(spatial, self.strides, strict=True)
        sizes = [None if size is None else -(-size // stride) for size, stride in steps]
        return (batch, *sizes, self.filters)

    def compute_output_spec(self, inputs):
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)


def _strided_convolution(inputs, kernel, strides):
    """Convolution with zeros on every side of its input.

    With explicit padding TensorFlow's CPU build has oneDNN compute the convolution, but
    its gradients fall to slower kernels (those for images take about 1.7 times as long),
    unless they are those of a convolution without padding: so they are written as such,
    of a padded input.
    """
    pads = [[0, 0], *[[size // 2] * 2 for size in kernel.shape[:2]], [0, 0]]

    @tf.custom_gradient
    def convolve(x, w):
        def gradient(dy):
            padded = tf.pad(x, pads)
            dx = tf.nn.conv2d_transpose(dy, w, tf.shape(padded), strides, "VALID")
            dw = tf.compat.v1.nn.conv2d_backprop_filter(
                padded, tf.shape(w), dy, [1, *strides, 1], "VALID"
            )
            begin = [pad[0] for pad in pads]
            return tf.slice(dx, begin, tf.shape(x)), dw

        return tf.nn.conv2d(x, w, strides, pads), gradient

    return convolve(inputs, tf.convert_to_tensor(kernel))


@keras.saving.register_keras_serializable("pan_tf")
class LeakyReLU(keras.layers.LeakyReLU):
    """max(x, slope * x), whose gradient is taken from its output.

    Keras' layer keeps its input until the gradient, although the output, which the next
    layer keeps anyway, has the same signs.

    Args:
        negative_slope: above 0.
        **kwargs: as `keras.layers.LeakyReLU`.
    """

    def __init__(self, negative_slope=0.2, **kwargs):
        super().__init__(negative_slope=negative_slope, **kwargs)

    def call(self, inputs):
        slope = self.negative_slope

        @tf.custom_gradient
        def activate(x):
            y = tf.nn.leaky_relu(x, slope)
            return y, lambda dy: tf.raw_ops.LeakyReluGrad(
                gradients=dy, features=y, alpha=slope
            )

        return activate(inputs)


@keras.saving.register_keras_serializable("pan_tf")
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization over the *global* batch, channels last, with fused kernels.

    Keras' own layer normalizes each replica by its own statistics, or, synchronized,
    falls back to unfused kernels on a single replica too (about a third of the speed
    on a CPU). Statistics are float32 under every dtype policy.

    Args:
        momentum: share of the old moving average that is kept; 0.9 is Lasagne's
            alpha 0.1 and Torch's momentum 0.1.
        epsilon: added to the variance; 1e-4 as in Lasagne. Torch has 1e-5.
        statistics: what normalizes outside of training: "moving", the moving averages,
            or "image", each image's own. The latter is what papers get that test in
            training mode with a batch of one; here it holds in every batch, so that an
            image's output does not depend on its neighbours. A map of a single position
            has none worth the name, and takes the moving averages.
        **kwargs: as `keras.layers.BatchNormalization`.

    Raises:
        ValueError: if `statistics` is neither.
    """

    def __init__(self, momentum=0.9, epsilon=1e-4, statistics="moving", **kwargs):
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)
        if statistics not in ("moving", "image"):
            raise ValueError(
                "`statistics` must be one of: moving, image. "
                f"Received: statistics={statistics!r}."
            )
        self.statistics = statistics

    def call(self, inputs, training=None, mask=None):
        moving = self.moving_mean.value, self.moving_variance.value
        if training:
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            normalize = _normalize_by_batch if replicas == 1 else _normalize_by_replicas
            outputs, *batch = normalize(inputs, self.gamma, self.beta, self.epsilon)
            variables = self.moving_mean, self.moving_variance
            for variable, old, new in zip(variables, moving, batch, strict=True):
                variable.assign(old * self.momentum + new * (1.0 - self.momentum))
            return outputs
        if self.statistics == "image":
            return _normalize_by_image(
                inputs, self.gamma, self.beta, self.epsilon, *moving
            )
        return _fused(inputs, self.gamma, self.beta, self.epsilon, *moving)[0]

    def get_config(self):
        return {**super().get_config(), "statistics": self.statistics}

    def compute_output_spec(self, inputs, training=None, mask=None):
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)


def _fused(x, gamma, beta, epsilon, mean=None, variance=None):
    return tf.compat.v1.nn.fused_batch_norm(
        x,
        tf.convert_to_tensor(gamma),
        tf.convert_to_tensor(beta),
        mean=mean,
        variance=variance,
        epsilon=epsilon,
        is_training=mean is None,
    )


def _normalize_by_batch(x, gamma, beta, epsilon):
    y, mean, variance = _fused(x, gamma, beta, epsilon)
    # The kernel reports the unbiased variance but normalizes by the biased one, which is
    # also what several replicas compute: keep that.
    count = tf.cast(tf.size(x) // tf.shape(x)[-1], variance.dtype)
    return y, mean, variance * (count - 1.0) / count


def _normalize_by_image(x, gamma, beta, epsilon, moving_mean, moving_variance):
    x32 = tf.cast(x, tf.float32)
    mean, variance = tf.nn.moments(x32, [1, 2], keepdims=True)
    # A map of one position is its own mean: nothing of it would be left.
    is_single = tf.reduce_prod(tf.shape(x)[1:3]) == 1
    mean = tf.where(is_single, moving_mean, mean)
    variance = tf.where(is_single, moving_variance, variance)
    y = tf.nn.batch_normalization(x32, mean, variance, beta, gamma, epsilon)
    return tf.cast(y, x.dtype)


def _normalize_by_replicas(x, gamma, beta, epsilon):
    def over_replicas(value):
        local = tf.reduce_mean(value, [0, 1, 2])
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.MEAN, local)

    # Replicas hold equal shares of the batch. Two passes, as one device makes: the
    # difference of E[x^2] and E[x]^2 loses the digits that they have in common.
    x32 = tf.cast(x, tf.float32)
    mean = over_replicas(x32)
    variance = over_replicas(tf.math.squared_difference(x32, mean))
    y = tf.nn.batch_normalization(x32, mean, variance, beta, gamma, epsilon)
    return tf.cast(y, x.dtype), mean, variance


@keras.saving.register_keras_serializable("pan_tf")
class Dropout(keras.layers.Layer):
    """Dropout that is the same on one replica and on many, and resumes to the bit.

    Keras' layer draws on every replica for itself. Here the mask of the whole global
    batch is a function of a seed and a count of calls, both of which are weights, hence
    in every checkpoint; a replica takes its share of it.

    Args:
        rate: share of the values that training sets to 0; the others grow to make up.
        **kwargs: as `keras.layers.Layer`.
    """

    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
        self.built = True
        # Python's generator, as Keras' own initializers: `set_random_seed` seeds it.
        seed = random.getrandbits(31)
        self.state = self.add_weight(
            name="seed_and_calls",
            shape=(2,),
            dtype="int64",
            initializer=lambda shape, dtype: tf.constant([seed, 0], dtype),
            trainable=False,
            aggregation="only_first_replica",
        )

    def call(self, inputs, training=None):
        if not training or self.rate == 0.0:
            return inputs
        shape = tf.shape(inputs)
        replicas, replica = 1, 0
        context = tf.distribute.get_replica_context()
        if context is not None:
            replicas = context.num_replicas_in_sync
            replica = context.replica_id_in_sync_group
        everywhere = tf.concat([[shape[0] * replicas], shape[1:]], 0)
        state = tf.convert_to_tensor(self.state)
        drawn = tf.random.stateless_uniform(everywhere, state)
        drawn = drawn[replica * shape[0] : (replica + 1) * shape[0]]
        self.state.assign_add([0, 1])
        kept = tf.cast(drawn >= self.rate, inputs.dtype)
        return inputs * kept / (1.0 - self.rate)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}

    def compute_output_spec(self, inputs, training=None):
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)


@keras.saving.register_keras_serializable("pan_tf")
class CutHole(keras.layers.Layer):
    """Fills the centre of an image, so that what was there cannot be seen."""

    def call(self, inputs):
        return images.cut_hole(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable("pan_tf")
class PasteCentre(keras.layers.Layer):
    """Pastes a generated centre into the image that it was generated for.

    In training all of it, since D and the losses judge its known edge too; otherwise
    only what was missing.
    """

    def call(self, inputs, training=None):
        image, centre = inputs
        size = image.shape[1]
        pad = (size - centre.shape[1]) // 2
        centre = tf.pad(centre, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
        mask = images.central_mask(size, overlap=bool(training))
        return tf.where(mask, centre, tf.cast(image, centre.dtype))

    def compute_output_shape(self, input_shape):
        return input_shape[0]
