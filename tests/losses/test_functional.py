import math

import numpy as np
import pytest
import tensorflow as tf

from pan_tf.losses import functional

LOG2 = math.log(2.0)


def test_discriminator_at_indifference_pays_two_log_two():
    zero = tf.zeros((3, 1))
    assert float(functional.gan_discriminator_loss(zero, zero)) == pytest.approx(2 * LOG2)


def test_discriminator_loss_is_cross_entropy():
    real, generated = tf.constant([[2.0]]), tf.constant([[-1.0]])
    d_real, d_generated = (1 / (1 + math.exp(-z)) for z in (2.0, -1.0))
    expected = -math.log(d_real) - math.log(1 - d_generated)
    loss = functional.gan_discriminator_loss(real, generated)
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_label_smoothing_is_on_the_real_side_only():
    real, generated = tf.constant([[2.0]]), tf.constant([[-1.0]])
    d_real, d_generated = (1 / (1 + math.exp(-z)) for z in (2.0, -1.0))
    expected = -0.9 * math.log(d_real) - 0.1 * math.log(1 - d_real)
    expected -= math.log(1 - d_generated)
    loss = functional.gan_discriminator_loss(real, generated, real_label=0.9)
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_saturating_loss_is_log_of_one_minus_d():
    z = tf.constant([[0.7]])
    expected = math.log(1 - 1 / (1 + math.exp(-0.7)))
    loss = functional.saturating_transformer_loss(z)
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_non_saturating_loss_is_minus_log_d():
    z = tf.constant([[0.7]])
    expected = -math.log(1 / (1 + math.exp(-0.7)))
    loss = functional.non_saturating_transformer_loss(z)
    assert float(loss) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("logit", [-1e4, 1e4])
def test_saturated_discriminator_gives_finite_losses_and_gradients(logit, dtype):
    z = tf.constant([[logit]], dtype)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z)
        losses = [
            functional.gan_discriminator_loss(z, z),
            functional.gan_discriminator_loss(z, z, 0.9),
            functional.saturating_transformer_loss(z),
            functional.non_saturating_transformer_loss(z),
        ]
    assert all(loss.dtype == tf.float32 for loss in losses)
    assert np.isfinite(losses).all()
    assert all(np.isfinite(tape.gradient(loss, z)).all() for loss in losses)


def test_perceptual_distance_by_hand():
    real = [tf.zeros((1, 2, 2, 1)), tf.constant([[[[1.0, -1.0]]]])]
    generated = [tf.fill((1, 2, 2, 1), -0.5), tf.constant([[[[3.0, -2.0]]]])]
    # 5 * mean(.5) + 1.5 * mean(2, 1)
    distance = functional.perceptual_distance(real, generated, (5.0, 1.5))
    assert float(distance) == pytest.approx(4.75)


def test_as_many_lambdas_as_features():
    feature = [tf.zeros((1, 1, 1, 1))]
    with pytest.raises(ValueError):
        functional.perceptual_distance(feature, feature, (1.0, 1.0))


@pytest.mark.parametrize(
    ("distance", "loss", "slope"), [(1.0, 2.0, -1.0), (3.0, 0.0, 0.0), (5.0, 0.0, 0.0)]
)
def test_discriminator_is_content_beyond_the_margin(distance, loss, slope):
    p = tf.constant(distance)
    with tf.GradientTape() as tape:
        tape.watch(p)
        value = functional.margin_loss(p, 3.0)
    assert float(value) == loss
    assert float(tape.gradient(value, p)) == slope


def test_global_mean_has_the_mean_value_and_the_local_gradient(two_replicas):
    def replica():
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        x = tf.cast(number, tf.float32) * 2.0 + 1.0  # 1 and 3.
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = functional.global_mean(x * x)
        return value, tape.gradient(value, x)

    values, gradients = tf.function(lambda: two_replicas.run(replica))()
    assert [float(v) for v in values.values] == [5.0, 5.0]
    assert [float(g) for g in gradients.values] == [2.0, 6.0]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_gradient_of_the_mean_absolute_difference(dtype):
    """Twin: automatic differentiation."""
    random = np.random.default_rng(0)
    a, b = (tf.cast(random.normal(size=(2, 3, 5)), dtype) for _ in range(2))
    results = []
    for function in (
        functional.mean_absolute_difference,
        lambda a, b: tf.reduce_mean(
            tf.abs(tf.cast(a, "float32") - tf.cast(b, "float32"))
        ),
    ):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = 3.0 * function(a, b)
        results.append((value, *tape.gradient(value, [a, b])))
    for ours, theirs in zip(*results, strict=True):
        assert ours.dtype == theirs.dtype
        assert np.allclose(
            tf.cast(ours, "float32"), tf.cast(theirs, "float32"), rtol=1e-2
        )
    assert float(results[0][0]) == pytest.approx(float(results[1][0]), rel=1e-6)
