import keras
import numpy as np
import pytest
import tensorflow as tf

from pan_tf.optimizers import Adam


def trained(optimizer, strategy=None):
    """A variable after a few updates, and the optimizer's slots."""
    random = np.random.default_rng(0)
    start, *gradients = random.normal(size=(5, 3, 4)).astype("float32")
    with (strategy or tf.distribute.get_strategy()).scope():
        variable = keras.Variable(start)
        optimizer = optimizer()
        optimizer.build([variable])

    def update(gradient):
        share = gradient / tf.distribute.get_strategy().num_replicas_in_sync
        optimizer.apply([share], [variable])

    @tf.function
    def update_on_replicas(gradient):
        strategy.run(update, args=(gradient,))

    for gradient in gradients:
        (update_on_replicas if strategy else tf.function(update))(tf.constant(gradient))
    return [variable.numpy()] + [v.numpy() for v in optimizer.variables]


@pytest.mark.parametrize("amsgrad", [False, True])
def test_fused_update_is_that_of_keras(amsgrad):
    arguments = {"learning_rate": 0.01, "beta_1": 0.5, "epsilon": 1e-8}
    ours, theirs = (
        trained(lambda kind=kind: kind(**arguments, amsgrad=amsgrad))
        for kind in (Adam, keras.optimizers.Adam)
    )
    for one, other in zip(ours, theirs, strict=True):
        assert np.allclose(one, other, rtol=1e-5, atol=1e-6)


def test_two_replicas_update_as_one(two_replicas):
    """Each replica has half of every gradient."""
    for one, other in zip(
        trained(lambda: Adam(0.01)),
        trained(lambda: Adam(0.01), two_replicas),
        strict=True,
    ):
        assert np.allclose(one, other, atol=1e-7)


def test_learning_rate_schedules_are_followed():
    schedule = keras.optimizers.schedules.PolynomialDecay(0.1, 2, end_learning_rate=0.0)
    ours, theirs = (
        trained(lambda kind=kind: kind(schedule))
        for kind in (Adam, keras.optimizers.Adam)
    )
    assert np.allclose(ours[0], theirs[0], atol=1e-6)
