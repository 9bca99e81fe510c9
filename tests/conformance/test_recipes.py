"""What every row of the table of systems must do, at toy size."""

import statistics

import keras
import numpy as np
import pytest
import tensorflow as tf

from pan_tf import networks
from pan_tf import recipes
from pan_tf.checkpoints import Checkpoints
from pan_tf.checkpoints import RunState
from pan_tf.export import Servable
from pan_tf.export import optimized
from pan_tf.export import parity
from pan_tf.inference import any_size
from pan_tf.models import Views

BATCH, SIZE = 4, 64

every_recipe = pytest.mark.parametrize("recipe", sorted(recipes.RECIPES))


def cycles(schedule, count):
    """Random cycles: dictionaries of float32 `[BATCH, minibatches, SIZE, SIZE, 3]`."""
    random = np.random.default_rng(0)
    shape = (BATCH, schedule.minibatches, SIZE, SIZE, 3)
    return [
        {
            name: tf.constant(random.uniform(-1, 1, shape).astype("float32"))
            for name in ("source", "target")
        }
        for _ in range(count)
    ]


def train(model, batches):
    """Runs cycles through the function that `fit` uses; the logs of the last."""
    model.make_train_function()
    logs = {}
    iterator = iter(batches)
    for _ in batches:
        logs = {name: float(v) for name, v in model.train_function(iterator).items()}
    return logs


def state(model):
    """Everything that a checkpoint must carry, as NumPy arrays."""
    variables = model.transformer.variables + model.discriminator.variables
    variables += model.t_optimizer.variables + model.d_optimizer.variables
    return [v.numpy() for v in variables]


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a, b)


@pytest.fixture
def build(toy):
    return lambda recipe, **changes: recipes.build(
        toy(recipe=recipe, batch_size=BATCH, **changes)
    )


@every_recipe
def test_losses_are_finite_and_named_after_player_and_term(recipe, build):
    model = build(recipe)
    logs = train(model, cycles(model.schedule, 2))
    assert all(np.isfinite(value) for value in logs.values())
    expected = {
        f"{player[0]}_{term.name}"
        for term in model.terms
        for player in ("transformer", "discriminator")
        if term.concerns(player)
    }
    assert expected <= set(logs)


@every_recipe
def test_interrupted_and_resumed_is_straight_to_the_bit(recipe, build, tmp_path):
    straight = build(recipe)
    batches = cycles(straight.schedule, 4)
    train(straight, batches)

    first = build(recipe)
    train(first, batches[:2])
    Checkpoints(tmp_path, first, RunState(first), keep=2).save()
    second = build(recipe, seed=9)
    resumed = Checkpoints(tmp_path, second, RunState(second), keep=2).resume()
    assert resumed == second.iteration == 2 * straight.schedule.minibatches
    train(second, batches[2:])
    assert second.iteration == straight.iteration
    assert_same(state(straight), state(second))


@every_recipe
def test_two_replicas_are_one_at_the_same_global_batch(recipe, build, two_replicas):
    """Every update of a cycle, from the same state, gives the same state and losses.

    With SGD: Adam would hide a gradient of the wrong scale. From the same state each
    time, since the game itself is chaotic: weights that differ by 1e-7 differ by 1e-4
    four updates later, on one device too. A weight before a feature that stands within
    rounding of a kink (of |d_j(y) - d_j(T(x))|, or of a leaky ReLU) moves by some 1e-5
    one way or the other, so that holds for most updates; a gradient of the wrong scale,
    or statistics of a replica, would be off by 1e-2.
    """
    straight = build(recipe)
    with two_replicas.scope():
        mirrored = build(recipe)
    for model in (straight, mirrored):
        model.compile(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01))

    @tf.function
    def update(player, minibatch):
        return straight.update(player, Views(minibatch))

    @tf.function
    def update_mirrored(player, minibatch):
        logs = two_replicas.run(
            lambda images: mirrored.update(player, Views(images)), args=(minibatch,)
        )
        mean = tf.distribute.ReduceOp.MEAN
        return {k: two_replicas.reduce(mean, v, axis=None) for k, v in logs.items()}

    (batch,) = cycles(straight.schedule, 1)
    gaps = []
    for i, player in enumerate(straight.schedule.players):
        minibatch = {name: images[:, i] for name, images in batch.items()}
        logs = update(player, minibatch)
        mirrored_logs = update_mirrored(player, halves(minibatch, two_replicas))
        for name, value in logs.items():
            if name.startswith("output_"):
                continue  # Of each replica's own images; see `variation`.
            assert float(mirrored_logs[name]) == pytest.approx(float(value), abs=2e-6)
        gap = 0.0
        for one, other in zip(straight.variables, mirrored.variables, strict=True):
            for replica in two_replicas.experimental_local_results(other.value):
                gap = max(gap, np.abs(one.numpy() - replica.numpy()).max(initial=0.0))
            other.assign(one)
        gaps.append(gap)
    assert statistics.median_low(gaps) < 2e-6 and max(gaps) < 1e-3, gaps


def halves(minibatch, strategy):
    """The minibatch, split over two replicas."""

    def share(context):
        replica = context.replica_id_in_sync_group
        return {k: tf.split(v, 2)[replica] for k, v in minibatch.items()}

    return strategy.experimental_distribute_values_from_function(share)


@every_recipe
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_is_finite(recipe, policy, build):
    model = build(recipe, dtype_policy=policy)
    logs = train(model, cycles(model.schedule, 2))
    assert all(np.isfinite(value) for value in logs.values())
    for variable in model.transformer.variables:
        assert np.isfinite(variable).all()


@every_recipe
def test_output_is_an_image_of_any_multiple_of_64(recipe, build):
    model = build(recipe)
    output = model(tf.zeros((1, 64, 128, 3)))
    assert output.shape == (1, 64, 128, 3) and output.dtype == tf.float32
    assert np.abs(output).max() <= 1.0


@every_recipe
def test_exported_it_is_the_same_function_elsewhere(recipe, build, tmp_path):
    """In a fresh process, without pan_tf and Keras, on images of several sizes."""
    transformer = build(recipe).deployed
    random = np.random.default_rng(0)
    for variable in transformer.variables:
        is_kernel = variable.path.endswith("kernel")
        noise = random.normal(0, 0.1, variable.shape) if is_kernel else 0.1
        variable.assign(variable + noise)
    multiple = networks.receptive_field(transformer).multiple
    Servable(optimized(transformer), multiple, 2**20).save(tmp_path)
    sizes = (64, 64), (1, 1), (50, 130)
    sources = [random.uniform(-1, 1, (2, *s, 3)).astype(np.float32) for s in sizes]
    translate = any_size(lambda x: transformer(x, training=False), multiple)
    answers = parity.run(tmp_path, [("float_image", source) for source in sources])
    for source, answer in zip(sources, answers, strict=True):
        expected = translate(source).numpy()
        assert answer.shape == source.shape and expected.std() > 0.01
        np.testing.assert_allclose(answer, expected, atol=1e-5)


@every_recipe
def test_every_term_reaches_its_player(recipe, build):
    """Every term's T side sends T a gradient, every D side sends D one."""
    model = build(recipe, margin=100.0)  # The hinge is active.
    minibatch = {k: v[:, 0] for k, v in cycles(model.schedule, 1)[0].items()}
    for player in ("transformer", "discriminator"):
        variables = [v.value for v in getattr(model, player).trainable_variables]
        with tf.GradientTape(persistent=True) as tape:
            losses = model.losses_of(player, model.look(model.translate(minibatch)))
        for name, loss in losses.items():
            gradients = [g for g in tape.gradient(loss, variables) if g is not None]
            assert gradients and any(np.abs(g).max() > 0 for g in gradients), name


@every_recipe
def test_the_gradients_are_those_of_the_losses(recipe, build):
    """Finite difference in one weight of each player against the update's gradient."""
    model = build(recipe, margin=100.0)
    minibatch = {k: v[:, 0] for k, v in cycles(model.schedule, 1)[0].items()}
    for player in ("transformer", "discriminator"):
        layer = "layer_2"
        kernel = getattr(model, player).get_layer(layer).kernel
        names = [v.path for v in getattr(model, player).trainable_variables]

        def total(player=player):
            losses = model.losses_of(player, model.look(model.translate(minibatch)))
            return float(tf.add_n(list(losses.values())))

        views = Views(minibatch)
        model.differentiate(player, views)
        gradient = np.array(views.gradients[names.index(kernel.path)])
        place = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        start, step = kernel.numpy(), 2e-3
        values = []
        for sign in (1, -1):
            changed = start.copy()
            changed[place] += sign * step
            kernel.assign(changed)
            values.append(total())
        kernel.assign(start)
        slope = (values[0] - values[1]) / (2 * step)
        assert slope == pytest.approx(gradient[place], rel=0.1), player
