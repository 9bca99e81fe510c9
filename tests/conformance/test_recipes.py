"""What every row of the table of systems must do, at toy size."""

import statistics

import keras
import numpy as np
import pytest
import tensorflow as tf

from pan_tf import networks
from pan_tf import recipes
from pan_tf.export import Servable
from pan_tf.export import optimized
from pan_tf.export import parity
from pan_tf.inference import any_size
from pan_tf.models import MinibatchCache
from pan_tf.runs.checkpoints import Checkpoints
from pan_tf.runs.checkpoints import RunState
from tests import trained
from tests.trained import shallow

BATCH, SIZE = 4, 64


def kind_of(row):
    """What two rows may differ beside, and still be of one kind: numbers."""
    network = row.discriminator
    kept = getattr(network, "keywords", {}).get("sees")
    return (
        networks.original(row.transformer),
        network and networks.original(network),
        kept or row.is_encoded,
        frozenset(type(term) for term in row.terms),
        row.schedule,
        row.is_cycle,
        bool(row.course),
        row.d_augment,
        any(vars(term).get("margin") == "auto" for term in row.terms),
    )


def distinct(key):
    """Parameters: a row of each kind, then the others, which are slow."""
    seen, found = set(), []
    for name, row in recipes.RECIPES.items():
        marks = [pytest.mark.slow] if key(row) in seen else []
        seen.add(key(row))
        found.append(pytest.param(name, marks=marks))
    return found


def covering(parts):
    """Parameters: rows until every part was in one, then the others, which are slow."""
    seen, found = set(), []
    # Rows of many parts first: fewer are needed.
    rows = sorted(recipes.RECIPES.items(), key=lambda each: -len(parts(each[1])))
    for name, row in rows:
        marks = [pytest.mark.slow] if parts(row) <= seen else []
        seen |= parts(row)
        found.append(pytest.param(name, marks=marks))
    return found


def parts_of(row):
    """What may compute otherwise on two replicas than on one."""
    networks_, kinds = kind_of(row)[:2], {type(term) for term in row.terms}
    rest = {f"{k}: {v}" for k, v in zip("cda", kind_of(row)[-3:], strict=True)}
    return {*networks_, *kinds, *rest, row.is_cycle, f"pool: {bool(row.pool_size)}"} - {
        None
    }


every_part = pytest.mark.parametrize("recipe", covering(parts_of))
every_recipe = pytest.mark.parametrize("recipe", distinct(kind_of))
# Rows that share a T share what becomes of it once it is trained.
every_transformer = pytest.mark.parametrize(
    "recipe",
    distinct(lambda row: (networks.original(row.transformer), row.bn_statistics)),
)


def rounds(schedule, count):
    """Random rounds: dictionaries of float32 `[BATCH, minibatches, SIZE, SIZE, 3]`."""
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
    """Runs rounds through the function that `fit` uses; the logs of the last."""
    model.make_train_function()
    logs = {}
    iterator = iter(batches)
    for _ in batches:
        logs = {name: float(v) for name, v in model.train_function(iterator).items()}
    return logs


def state(model):
    """Everything that a checkpoint must carry, as NumPy arrays."""
    memories = [memory for memory in model.image_pools.values() if memory is not None]
    holders = [*model.networks.values(), *memories, *model.players.values()]
    own = [variable.numpy() for term in model.terms for variable in term.state().values()]
    return own + [v.numpy() for holder in holders for v in holder.variables]


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a, b)


@pytest.fixture
def eagerly():
    """Without tracing: to trace two players takes far longer than a few toy rounds.

    Compiled, runs are resumed in tests/end_to_end/test_command_line.py.
    """
    with trained.eagerly():
        yield


@pytest.fixture(autouse=True)
def toys(narrow_vgg):
    """Toy size in depth as well: a residual block, a VGG of few channels."""
    with shallow():
        yield


@pytest.fixture
def build(toy, narrow_vgg):
    """A model of a recipe; `active` where D's hinge is to be active, if it has one."""

    def make(recipe, active=False, **changes):
        if active and "perceptual_adversarial" in {
            term.name for term in recipes.RECIPES[recipe].terms
        }:
            changes["margin"] = 100.0
        settings = {"batch_size": BATCH, "vgg_weights": str(narrow_vgg)}
        if recipes.RECIPES[recipe].role == "fill":
            settings["synthesize"] = "hole"
        if (
            recipes.RECIPES[recipe].vgg == "vgg19"
            and recipes.RECIPES[recipe].looks_through_vgg
        ):
            settings["vgg"] = "vgg16"
        return recipes.build(toy(recipe=recipe, **settings, **changes))

    return make


@every_recipe
def test_interrupted_and_resumed_is_straight_to_the_bit(recipe, build, tmp_path, eagerly):
    # As long as a course is laid out for: T alone, then with D.
    count = 3 if recipes.RECIPES[recipe].course else 2
    length = count * recipes.RECIPES[recipe].schedule.minibatches
    straight = build(recipe, iterations=length)
    *first, last = rounds(straight.schedule, count)
    frozen = [value.copy() for value in vgg_of(straight)]
    train(straight, first)
    assert_same(frozen, vgg_of(straight))
    Checkpoints(tmp_path, straight, RunState(straight), keep=2).save()
    check_logs(straight, train(straight, [last]))

    second = build(recipe, seed=9, iterations=length)
    resumed = Checkpoints(tmp_path, second, RunState(second), keep=2).resume()
    assert resumed == second.iteration == len(first) * straight.schedule.minibatches
    train(second, [last])
    assert second.iteration == straight.iteration
    assert_same(state(straight), state(second))


def check_logs(model, logs):
    """Losses are finite, and named after player and term."""
    assert all(np.isfinite(value) for value in logs.values())
    expected = {
        f"{player[0]}_{term.name}"
        for term in model.terms
        for player in ("transformer", "discriminator")
        if term.concerns(player)
    }
    assert expected <= set(logs)


# All of one or four channels may be dead, and a new D of few hands so little down to T
# that float32 holds no step of it.
FAINT = "dcgan", "vgg_gan", "vgg_star_gan"


@every_part
def test_two_replicas_are_one_at_the_same_global_batch(recipe, build, two_replicas):
    """Every update of a round, from the same state, gives the same state and losses.

    With SGD: Adam would hide a gradient of the wrong scale. From the same state each
    time, since the game itself is chaotic: weights that differ by 1e-7 differ by 1e-4
    four updates later, on one device too. A weight before a feature that stands within
    rounding of a kink (of |d_j(y) - d_j(T(x))|, or of a leaky ReLU) moves by some 1e-5
    one way or the other, so that holds for most updates; a gradient of the wrong scale,
    or statistics of a replica, would be off by 1e-2.

    Op by op, which computes what a traced function does in a quarter of the time;
    traced, replicas are compared in tests/models/test_translation.py.
    """
    width = {"width": 1 / 4} if recipe in FAINT else {}
    straight = build(recipe, **width)
    with two_replicas.scope():
        mirrored = build(recipe, **width)
    # Steps of one size, whatever the weights of the terms.
    rate = t_rate = 0.01 / max(term.weight for term in straight.terms)
    if recipe in FAINT:
        t_rate = 1e-3 / gradient_of_t(build(recipe, **width))
    for model in (straight, mirrored):
        d_optimizer = keras.optimizers.SGD(rate) if model.discriminator else None
        model.compile(keras.optimizers.SGD(t_rate), d_optimizer)

    def update(player, minibatch):
        return straight.update(player, MinibatchCache(minibatch))

    def update_mirrored(player, minibatch):
        logs = two_replicas.run(
            lambda images: mirrored.update(player, MinibatchCache(images)),
            args=(minibatch,),
        )
        mean = tf.distribute.ReduceOp.MEAN
        return {k: two_replicas.reduce(mean, v, axis=None) for k, v in logs.items()}

    (batch,) = rounds(straight.schedule, 1)
    gaps = []
    for i, player in enumerate(straight.schedule.players):
        i %= straight.schedule.minibatches
        before = [variable.numpy() for variable in straight.trainable_variables]
        minibatch = {name: images[:, i] for name, images in batch.items()}
        logs = update(player, minibatch)
        mirrored_logs = update_mirrored(player, halves(minibatch, two_replicas))
        for name, value in logs.items():
            if name.startswith("output_"):
                continue  # Of each replica's own images; see `variation`.
            assert float(mirrored_logs[name]) == pytest.approx(
                float(value), rel=1e-6, abs=2e-6
            )
        # All weights together: one that a kink moves counts little among them.
        after, theirs = (
            [variable.value.numpy() for variable in model.trainable_variables]
            for model in (straight, mirrored)
        )
        assert distance(after, theirs) < 0.01 * distance(after, before), player
        gap = 0.0
        for one, other in zip(straight.variables, mirrored.variables, strict=True):
            for replica in two_replicas.experimental_local_results(other.value):
                gap = max(gap, np.abs(one.numpy() - replica.numpy()).max(initial=0.0))
            other.assign(one)
        gaps.append(gap)
    assert statistics.median_low(gaps) < 2e-6 and max(gaps) < 1e-3, gaps


def gradient_of_t(model):
    """Length of the gradient of a new T's loss."""
    (batch,) = rounds(model.schedule, 1)
    cache = MinibatchCache({name: images[:, 0] for name, images in batch.items()})
    model.differentiate("transformer", cache)
    return float(tf.linalg.global_norm(cache.gradients))


def distance(some, others):
    pairs = zip(some, others, strict=True)
    return sum(np.square(a - b, dtype=np.float64).sum() for a, b in pairs) ** 0.5


def halves(minibatch, strategy):
    """The minibatch, split over two replicas."""

    def share(context):
        replica = context.replica_id_in_sync_group
        return {k: tf.split(v, 2)[replica] for k, v in minibatch.items()}

    return strategy.experimental_distribute_values_from_function(share)


@pytest.mark.parametrize(
    ("recipe", "policy"),
    [
        pytest.param(*each.values, "mixed_bfloat16", marks=each.marks)
        for each in distinct(
            lambda row: (
                networks.original(row.transformer),
                row.discriminator and networks.original(row.discriminator),
            )
        )
    ]
    # What float16 adds, the scaling of the loss, is the same code for all.
    + [("pan", "mixed_float16"), ("pix2pix", "mixed_float16")],
)
def test_half_precision_is_finite(recipe, policy, build, eagerly):
    model = build(recipe, dtype_policy=policy)
    check_logs(model, train(model, rounds(model.schedule, 2)))
    half = policy.removeprefix("mixed_")
    for network in model.networks.values():
        assert half in {layer.compute_dtype for layer in network.layers}
        for variable in network.variables:
            assert np.isfinite(variable).all()


@every_transformer
def test_exported_it_is_the_same_function_elsewhere(recipe, build, tmp_path):
    """In a fresh process, without pan_tf and Keras, on images of several sizes."""
    transformer = build(recipe).ema_transformer
    random = np.random.default_rng(0)
    for variable in transformer.variables:
        if variable.path.endswith("kernel"):
            variable.assign(variable + random.normal(0, 0.1, variable.shape))
        elif "float" in variable.dtype:
            variable.assign(variable + 0.1)
    field = networks.receptive_field(transformer)
    Servable(optimized(transformer), field.multiple, 2**20, field.size).save(tmp_path)
    sizes = [(64, 64)] if field.size else [(64, 64), (1, 1), (50, 130)]
    sources = [random.uniform(-1, 1, (2, *s, 3)).astype(np.float32) for s in sizes]
    translate = any_size(
        lambda x: transformer(x, training=False), field.multiple, field.size
    )
    answers = parity.run(tmp_path, [("float_image", source) for source in sources])
    for source, answer in zip(sources, answers, strict=True):
        expected = translate(source).numpy()
        assert answer.shape == source.shape
        # A single pixel may leave all ReLUs shut.
        assert expected.std() > 0.01 or source.shape[1] == 1
        np.testing.assert_allclose(answer, expected, atol=1e-5)


@every_recipe
def test_it_makes_images_and_gradients_are_those_of_its_losses(recipe, build, eagerly):
    """One test, since to build a model takes longer than to ask it."""
    model = build(recipe, active=True)
    if recipes.RECIPES[recipe].bn_statistics is None:
        strengthen(model)
    check_output(model)
    check_gradients(recipe, model)
    check_terms(model)


def check_output(model):
    """An image of any multiple of 64, or of the one size that the transformer knows."""
    width = networks.receptive_field(model.transformer).size or 128
    output = model(tf.zeros((1, 64, width, 3)))
    assert output.shape == (1, 64, width, 3) and output.dtype == tf.float32
    assert np.abs(output).max() <= 1.0


def check_terms(model):
    """Every term's T side sends T a gradient, every D side sends D one."""
    minibatch = {k: v[:, 0] for k, v in rounds(model.schedule, 1)[0].items()}
    for player in model.players:
        variables = [v.value for v in model.variables_of(player)]
        with tf.GradientTape(persistent=True) as tape:
            translations = model.discriminate(player, model.translate(minibatch))
            losses = model.losses_of(player, translations)
        for name, loss in losses.items():
            gradients = [g for g in tape.gradient(loss, variables) if g is not None]
            assert gradients and any(np.abs(g).max() > 0 for g in gradients), name


def vgg_of(model):
    """Weights of the frozen networks that terms look through."""
    found = [term.network for term in model.terms if hasattr(term, "network")]
    found += [model.encoder] if model.encoder else []
    return [value for network in found for value in network.get_weights()]


def strengthen(model):
    """Kernels that keep what passes them: a T without normalization starts so faint that
    float32 sees no difference."""
    random = np.random.default_rng(0)
    for network in model.networks.values():
        for kernel in (v for v in network.trainable_variables if v.name == "kernel"):
            deviation = np.prod(kernel.shape[:3]) ** -0.5
            kernel.assign(random.normal(0.0, deviation, kernel.shape))


def check_gradients(recipe, model):
    """Finite difference in one weight of each player against the update's gradient."""
    seeds = [v for v in model.transformer.variables if "float" not in v.dtype]
    drawn = [v.numpy() for v in seeds]
    minibatch = {k: v[:, 0] for k, v in rounds(model.schedule, 1)[0].items()}
    is_normalized = recipes.RECIPES[recipe].bn_statistics is not None
    weights = [0.0 if is_normalized else term.weight for term in model.terms]
    for player in model.players:
        variables = getattr(model, player).trainable_variables
        kernels = [v for v in variables if v.name == "kernel"]
        # The second layer, where that is what a network calls it.
        kernel = next((v for v in kernels if "layer_2/" in v.path), kernels[0])
        names = [v.path for v in model.variables_of(player)]

        def total(player=player):
            for variable, value in zip(seeds, drawn, strict=True):
                variable.assign(value)  # The same values are dropped each time.
            translations = model.discriminate(player, model.translate(minibatch))
            losses = model.losses_of(player, translations)
            return float(tf.add_n(list(losses.values())))

        views = MinibatchCache(minibatch)
        for variable, value in zip(seeds, drawn, strict=True):
            variable.assign(value)
        model.differentiate(player, views)
        gradient = np.array(views.gradients[names.index(kernel.path)])
        place = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        # Of a loss of some tens float32 has no more than five digits.
        start, step = kernel.numpy(), 5e-3 if max(weights, default=0) > 20 else 5e-4
        values = []
        for sign in (1, -1):
            changed = start.copy()
            changed[place] += sign * step
            kernel.assign(changed)
            values.append(total())
        kernel.assign(start)
        slope = (values[0] - values[1]) / (2 * step)
        assert slope == pytest.approx(gradient[place], rel=0.1), player
