"""Losses as functions of tensors. Equations are those of the PAN paper.

Logits are z, with D = sigmoid(z); everything is computed from z, in float32, so that a
saturated D gives finite losses and gradients: -log D = softplus(-z) and
-log(1 - D) = softplus(z).

Scalars are means over the *replica's* batch. `global_mean` turns one into the mean over
the global batch where a loss is not linear in it.
"""

import tensorflow as tf


def gan_discriminator_loss(real_logits, generated_logits, real_label=1.0):
    """D's side of Eq. (2): cross-entropy of real images against `real_label`, plus
    cross-entropy of generated ones against 0. The sum is not halved.

    Args:
        real_logits: float `[B, ...]`, D's logits for targets.
        generated_logits: float `[B, ...]`, D's logits for outputs of T.
        real_label: 1, or less for one-sided label smoothing (0.9 in the released code).

    Returns:
        float32 scalar.
    """
    real, generated = _float32(real_logits), _float32(generated_logits)
    real_loss = real_label * tf.nn.softplus(-real)
    if real_label != 1.0:
        real_loss += (1.0 - real_label) * tf.nn.softplus(real)
    return tf.reduce_mean(real_loss) + tf.reduce_mean(tf.nn.softplus(generated))


def saturating_transformer_loss(generated_logits):
    """T's side of Eq. (2) and (6) as printed: mean log(1 - D(T(x))).

    Its gradient vanishes where D is sure that an image is generated.
    """
    return -tf.reduce_mean(tf.nn.softplus(_float32(generated_logits)))


def non_saturating_transformer_loss(generated_logits):
    """Mean -log D(T(x)): the same fixed points as Eq. (2), without its flat region.

    >>> round(float(non_saturating_transformer_loss([[0.0]])), 4)  # ln 2
    0.6931
    """
    return tf.reduce_mean(tf.nn.softplus(-_float32(generated_logits)))


def least_squares_discriminator_loss(real_logits, generated_logits, real_label=1.0):
    """D's side of LSGAN: (mean (D(y) - real_label)^2 + mean D(T(x))^2) / 2.

    Here D is what it says itself, not a sigmoid of it; arguments as of
    `gan_discriminator_loss`.
    """
    real, generated = _float32(real_logits), _float32(generated_logits)
    real_loss = tf.reduce_mean(tf.square(real - real_label))
    return 0.5 * (real_loss + tf.reduce_mean(tf.square(generated)))


def least_squares_transformer_loss(generated_logits):
    """T's side of LSGAN: mean (D(T(x)) - 1)^2, not halved, as in CycleGAN's code."""
    return tf.reduce_mean(tf.square(_float32(generated_logits) - 1.0))


def hinge_discriminator_loss(real_logits, generated_logits, real_label=1.0):
    """D's side of the hinge loss: mean [1 - D(y)]^+ + mean [1 + D(T(x))]^+.

    Geometric GAN, Eq. (18); as in SAGAN and SPADE. D is what it says itself.

    Args:
        real_logits, generated_logits: as of `gan_discriminator_loss`.
        real_label: 1; the hinge knows no other label.

    Returns:
        float32 scalar.
    """
    real, generated = _float32(real_logits), _float32(generated_logits)
    real_loss = tf.reduce_mean(tf.nn.relu(real_label - real))
    return real_loss + tf.reduce_mean(tf.nn.relu(1.0 + generated))


def hinge_transformer_loss(generated_logits):
    """T's side of the hinge loss: -mean D(T(x))."""
    return -tf.reduce_mean(_float32(generated_logits))


def perceptual_distance(real_features, generated_features, lambdas):
    """P = sum_j lambda_j mean |d_j(y) - d_j(T(x))|; Eq. (3) and (4).

    The mean runs over batch, space and channels, as in the released code: a sum would
    need a margin of the order of 10^6.

    Args:
        real_features: list of float `[B, h, w, c]`, hidden layers d_j of D for y.
        generated_features: the same for T(x).
        lambdas: one weight a layer.

    Returns:
        float32 scalar.
    """
    return tf.add_n(
        [
            weight * mean_absolute_difference(real, generated)
            for weight, real, generated in zip(
                lambdas, real_features, generated_features, strict=True
            )
        ]
    )


def mean_feature_distance(real_features, generated_features, lambdas):
    """P = sum_j lambda_j mean |E_Y d_j(y) - E_X d_j(G(x))|; Eq. (7), of unpaired sets.

    The expectations are means over the *global* batch, position by position and channel
    by channel; the mean of the difference runs over those.

    Args:
        real_features: list of float `[B, h, w, c]`, hidden layers d_j of D for real
            images of the target's domain.
        generated_features: the same for generated ones.
        lambdas: one weight a layer; a layer of weight 0 is not looked at.

    Returns:
        float32 scalar, the same on all replicas.
    """

    def expectation(features):
        return global_mean(tf.reduce_mean(_float32(features), axis=0))

    distances = [
        weight * mean_absolute_difference(expectation(real), expectation(generated))
        for weight, real, generated in zip(
            lambdas, real_features, generated_features, strict=True
        )
        if weight
    ]
    return tf.add_n(distances) if distances else tf.constant(0.0)


def mean_squared_difference(a, b):
    """mean (a - b)^2, float32, of two tensors of one shape."""
    return tf.reduce_mean(tf.math.squared_difference(_float32(a), _float32(b)))


@tf.custom_gradient
def mean_absolute_difference(a, b):
    """mean |a - b|, float32, of two tensors of one shape and dtype.

    The gradient is what automatic differentiation gives, in fewer passes over memory and
    with nothing kept for it: d_1 alone is 64 MiB at 256 px and batch 4.
    """

    def gradient(upstream):
        # The difference is computed again: to keep it would cost another d_1.
        scale = upstream / tf.cast(tf.size(a), tf.float32)
        towards = tf.cast(tf.sign(_float32(a) - _float32(b)) * scale, a.dtype)
        return towards, -towards

    return tf.reduce_mean(tf.abs(_float32(a) - _float32(b))), gradient


def margin_loss(distance, margin):
    """[margin - P]^+, Eq. (5). Zero, with zero gradient, from the margin on."""
    return tf.nn.relu(margin - distance)


def global_mean(value):
    """The mean of a tensor over replicas, with the gradient of this replica's share.

    max(0, m - P) of a mean P is not the mean of the replicas' hinges. With the value of
    the mean and the local gradient, summing gradients over replicas gives exactly what
    one device computes on the whole batch.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    mean = context.all_reduce(tf.distribute.ReduceOp.MEAN, tf.stop_gradient(value))
    return value + tf.stop_gradient(mean - value)


def _float32(x):
    return tf.cast(x, tf.float32)
