"""Normalization by the statistics of a batch, or of each image.

TensorFlow's kernel of batch normalization adds up a plane in float32, one number after
the other: at 2048 px the mean is off by a hundredth of a standard deviation. Here
`plane_means` adds up rows in float32 and the rows' sums in float64, in every layer.
"""

import math

import keras
import tensorflow as tf

from pan_tf import runtime
from pan_tf import tracing


@keras.saving.register_keras_serializable("pan_tf")
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization over the *global* batch, channels last, with fused kernels.

    Keras' own layer normalizes each replica by its own statistics, or, synchronized,
    falls back to unfused kernels on a single replica too (about a third of the speed
    on a CPU). Statistics are float32 under every dtype policy, float64 in a layer of
    that dtype.

    Args:
        momentum: share of the old moving average that is kept; 0.9 is Lasagne's
            alpha 0.1 and Torch's momentum 0.1.
        epsilon: added to the variance; 1e-4 as in Lasagne. Torch has 1e-5.
        statistics: what normalizes outside of training: "moving", the moving averages,
            or "image", each image's own. The latter is what papers get that test in
            training mode with a batch of one; here it holds in every batch, so that an
            image's output does not depend on its neighbours. A map of a single position
            has none worth the name, and takes the moving averages.
        synchronized: True, which is all that it can be.
        **kwargs: as `keras.layers.BatchNormalization`, without masks.

    Raises:
        ValueError: if `statistics` is neither, `axis` is not the last, `synchronized` is
            False, or `renorm` True.
    """

    def __init__(
        self,
        momentum=0.9,
        epsilon=1e-4,
        statistics="moving",
        synchronized=True,
        **kwargs,
    ):
        super().__init__(
            momentum=momentum, epsilon=epsilon, synchronized=synchronized, **kwargs
        )
        if statistics not in ("moving", "image"):
            raise ValueError(
                "`statistics` must be one of: moving, image. "
                f"Received: statistics={statistics!r}."
            )
        if not synchronized:
            raise ValueError(
                "`synchronized` must be True: all replicas have one batch. "
                f"Received: synchronized={synchronized}."
            )
        if getattr(self, "renorm", False):
            raise ValueError("`renorm` must be False. Received: renorm=True.")
        if self.axis not in (-1, 3):
            raise ValueError(
                f"`axis` must be the last, -1 or 3. Received: axis={self.axis}."
            )
        self.statistics = statistics

    def call(self, inputs, training=None, mask=None):
        if mask is not None:
            raise ValueError("BatchNormalization has no masks. Received: a mask.")
        moving = self.moving_mean.value, self.moving_variance.value
        gamma = self.gamma if self.scale else tf.ones_like(moving[1])
        beta = self.beta if self.center else tf.zeros_like(moving[0])
        if training and self.trainable:  # Frozen, it is as outside of training.
            outputs, *batch = _normalize_by_batch(inputs, gamma, beta, self.epsilon)
            variables = self.moving_mean, self.moving_variance
            for variable, old, new in zip(variables, moving, batch, strict=True):
                variable.assign(old * self.momentum + new * (1.0 - self.momentum))
            return outputs
        if self.statistics == "image":
            return _normalize_by_image(inputs, gamma, beta, self.epsilon, *moving)
        return _apply(inputs, gamma, beta, self.epsilon, *moving)

    def get_config(self):
        return {**super().get_config(), "statistics": self.statistics}


@keras.saving.register_keras_serializable("pan_tf")
class InstanceNormalization(keras.layers.Layer):
    """Normalizes each channel of each image by its own mean and variance.

    Without scale and offset, as the authors' PyTorch code of CycleGAN has it. The same
    function as `keras.layers.GroupNormalization(groups=-1)` without them, which takes 1.5
    times as long on a CPU: a batch of one, CycleGAN's, goes through the kernel of batch
    normalization. Statistics are float32 under every dtype policy, float64 in a layer of
    that dtype.

    Args:
        epsilon: added to the variance.
        **kwargs: as `keras.layers.Layer`.
    """

    def __init__(self, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, inputs):
        # A flat plane then becomes exactly zero. Otherwise the rounding of its mean would
        # be left, and grow by 1 / sqrt(epsilon) in each layer.
        x = inputs - tf.stop_gradient(inputs[:, :1, :1])
        if inputs.shape[0] == 1 and inputs.dtype != tf.float64:
            one, zero = tf.ones(inputs.shape[-1:]), tf.zeros(inputs.shape[-1:])
            return _normalize_fused(x, one, zero, self.epsilon)[0]
        return _normalize_each(x, self.epsilon)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


def _statistics_dtype(x):
    return tf.float64 if x.dtype == tf.float64 else tf.float32


def plane_means(x, axes=(0, 1, 2)):
    """Means over planes, float32 or float64 `[B, H, W, C]`, to the last digit or two.

    Args:
        x: the images.
        axes: (0, 1, 2), or (1, 2) for each image's own.

    Returns:
        `[C]` or `[B, C]`, dtype of `x`.
    """
    # A shape that is known costs a graph no operations; an export's may not be.
    shape = x.shape if x.shape.is_fully_defined() else tf.unstack(tf.shape(x))
    batch, height, width, channels = shape
    if x.shape[-1] is not None:
        channels = x.shape[-1]
    # A product of matrices reads memory as it lies, and runs on all cores.
    rows = tf.reshape(x, (-1, width, channels))
    sums = tf.matmul(tf.ones((1, 1, width), x.dtype), rows)
    sums = tf.cast(tf.reshape(sums, (batch, height, channels)), tf.float64)
    count = height * width * (batch if 0 in axes else 1)
    total = tf.reduce_sum(sums, axes[:-1])
    return tf.cast(total / tf.cast(count, tf.float64), x.dtype)


def _normalize_each(x, epsilon):
    """Instance normalization of a batch; what is kept for the gradient is the output."""

    def means(value):
        return plane_means(value, (1, 2))[:, None, None]

    @tf.custom_gradient
    def normalize(x):
        x32 = tf.cast(x, _statistics_dtype(x))
        mean = means(x32)
        variance = means(tf.math.squared_difference(x32, mean))
        scale = tf.math.rsqrt(variance + epsilon)
        y = (x32 - mean) * scale

        def gradient(dy):
            dy = tf.cast(dy, y.dtype)
            dx = scale * (dy - means(dy) - y * means(dy * y))
            return tf.cast(dx, x.dtype)

        return tf.cast(y, x.dtype), gradient

    return normalize(x)


def _apply(x, gamma, beta, epsilon, mean, variance):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, statistics `[C]`.

    By the kernel, which TensorFlow's optimizer joins with the convolution before it.
    """
    if x.dtype == tf.float64:  # The kernel has none.
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)
    return tf.compat.v1.nn.fused_batch_norm(
        x,
        tf.convert_to_tensor(gamma),
        tf.convert_to_tensor(beta),
        mean=mean,
        variance=variance,
        epsilon=epsilon,
        is_training=False,
    )[0]


def _normalize_by_batch(x, gamma, beta, epsilon):
    """(normalized, mean, biased variance) of the global batch."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas == 1 and x.dtype != tf.float64:
        gamma, beta = tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta)
        return _normalize_fused(x, gamma, beta, epsilon)
    return _normalize_by_replicas(x, gamma, beta, epsilon)


def _normalize_fused(x, gamma, beta, epsilon):
    """As `_normalize_by_batch`, on one replica; the gradient is a kernel.

    On a GPU the statistics are too: the gradient's kernel wants of them what only the
    kernel that computes them can give it. On a CPU it wants mean and variance. There the
    kernel takes a third of the time of a bfloat16 plane; over this many numbers what its
    sums lose is a tenth of what the plane's own rounding does.
    """
    positions = x.shape[:3]
    is_short = None not in positions and math.prod(positions) <= 2**18
    if not runtime.is_on_cpu() or (x.dtype == tf.bfloat16 and is_short):
        y, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            x, gamma, beta, epsilon=epsilon, is_training=True
        )
        # It reports the unbiased variance but normalizes by the biased one, which is
        # also what several replicas compute: keep that.
        count = tf.cast(tf.size(x) // tf.shape(x)[-1], variance.dtype)
        return y, mean, variance * (count - 1.0) / count
    statistics = []

    @tf.custom_gradient
    def normalize(x, gamma, beta):
        # In a graph once for layers of one size; by itself it is not worth a graph.
        how = _normalized if tf.executing_eagerly() else _normalized_once
        # Else TensorFlow would make a gradient of its own, too.
        given = map(tf.stop_gradient, (x, gamma, beta))
        y, mean, variance = how(*given, epsilon)
        statistics[:] = mean, variance

        def gradient(dy):
            return tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=dy,
                x=x,
                scale=gamma,
                reserve_space_1=mean,
                reserve_space_2=variance,
                reserve_space_3=tf.constant([], tf.float32),
                epsilon=epsilon,
                is_training=True,
            )[:3]

        return y, gradient

    return normalize(x, gamma, beta), *statistics


def _normalized(x, gamma, beta, epsilon):
    """(normalized, mean, biased variance)."""
    x32 = tf.cast(x, tf.float32)
    mean = plane_means(x32)
    variance = plane_means(tf.math.squared_difference(x32, mean))
    y = tf.nn.batch_normalization(x32, mean, variance, beta, gamma, epsilon)
    return tf.cast(y, x.dtype), mean, variance


_normalized_once = tracing.function(_normalized)


def _normalize_by_image(x, gamma, beta, epsilon, moving_mean, moving_variance):
    x32 = tf.cast(x, _statistics_dtype(x))
    first = x32[:, :1, :1]  # The exact mean of a flat plane.
    mean = first + plane_means(x32 - first, (1, 2))[:, None, None]
    variance = plane_means(tf.math.squared_difference(x32, mean), (1, 2))[:, None, None]
    # A map of one position is its own mean: nothing of it would be left.
    is_single = tf.reduce_prod(tf.shape(x)[1:3]) == 1
    mean = tf.where(is_single, moving_mean, mean)
    variance = tf.where(is_single, moving_variance, variance)
    y = (x32 - mean) * (tf.math.rsqrt(variance + epsilon) * gamma) + beta
    return tf.cast(y, x.dtype)


def _normalize_by_replicas(x, gamma, beta, epsilon):
    def over_replicas(value):
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.MEAN, plane_means(value))

    # Replicas hold equal shares of the batch. Two passes, as one device makes: the
    # difference of E[x^2] and E[x]^2 loses the digits that they have in common.
    x32 = tf.cast(x, _statistics_dtype(x))
    mean = over_replicas(x32)
    variance = over_replicas(tf.math.squared_difference(x32, mean))
    y = tf.nn.batch_normalization(x32, mean, variance, beta, gamma, epsilon)
    return tf.cast(y, x.dtype), mean, variance
