"""Normalization by the statistics of a batch, or of each image."""

import keras
import tensorflow as tf


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


@keras.saving.register_keras_serializable("pan_tf")
class InstanceNormalization(keras.layers.Layer):
    """Normalizes each channel of each image by its own mean and variance.

    Without scale and offset, as the authors' PyTorch code of CycleGAN has it. The same
    function as `keras.layers.GroupNormalization(groups=-1)` without them, which takes 1.5
    times as long on a CPU: a batch of one, CycleGAN's, goes through the kernel of batch
    normalization. Statistics are float32 under every dtype policy.

    Args:
        epsilon: added to the variance.
        **kwargs: as `keras.layers.Layer`.
    """

    def __init__(self, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, inputs):
        if inputs.shape[0] == 1:
            channels = inputs.shape[-1]
            one, zero = tf.ones(channels), tf.zeros(channels)
            return _fused(inputs, one, zero, self.epsilon)[0]
        return _normalize_each(inputs, self.epsilon)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


def _normalize_each(x, epsilon):
    """Instance normalization of a batch; what is kept for the gradient is the output."""

    @tf.custom_gradient
    def normalize(x):
        x32 = tf.cast(x, tf.float32)
        mean, variance = tf.nn.moments(x32, [1, 2], keepdims=True)
        scale = tf.math.rsqrt(variance + epsilon)
        y = (x32 - mean) * scale

        def gradient(dy):
            dy = tf.cast(dy, tf.float32)
            away = tf.reduce_mean(dy, [1, 2], keepdims=True)
            along = tf.reduce_mean(dy * y, [1, 2], keepdims=True)
            return tf.cast(scale * (dy - away - y * along), x.dtype)

        return tf.cast(y, x.dtype), gradient

    return normalize(x)


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
