import json

import numpy as np
import pytest
import tensorflow as tf

from pan_tf import recipes
from pan_tf.config import Config
from pan_tf.models import MinibatchCache
from pan_tf.models.variation import variation
from pan_tf.runs import callbacks
from pan_tf.runs import guards
from pan_tf.runs.checkpoints import RunState
from pan_tf.runs.folder import RunFolder

CONFIG = Config(dataset="bluemarble", image_size=64, width=1 / 64)


class Checkpoints:
    """Whose newest is of iteration 8, or that has none; saving fails the test."""

    def __init__(self, last=8):
        self.last = last

    def last_iteration(self):
        return self.last

    def save(self):
        pytest.fail("saved")


@pytest.fixture(scope="module")
def built():
    return recipes.build(CONFIG)


@pytest.fixture
def model(built):
    """A model whose rounds are four iterations; restored afterwards."""
    weights = built.get_weights()
    built.iteration = 0
    yield built
    built.set_weights(weights)


def non_finite_guard(model, config=CONFIG, last=8):
    guard = guards.NonFiniteGuard(config, Checkpoints(last))
    guard.set_model(model)
    return guard


def after_rounds(callback, model, rounds, logs):
    callback.set_model(model)
    for _ in range(rounds):
        model.iteration += model.schedule.minibatches
        callback.on_train_batch_end(0, logs)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_names_the_loss_the_iteration_the_checkpoint_and_a_flag(model, value):
    guard = non_finite_guard(model)
    with pytest.raises(guards.NonFiniteError) as caught:
        after_rounds(guard, model, 1, {"t_adversarial": 0.5, "d_adversarial": value})
    message = str(caught.value)
    assert message.startswith("d_adversarial:") and "since iteration 4" in message
    assert "checkpoint of iteration 8 is intact" in message
    assert "--learning_rate" in message


def test_advice_fits_the_run(model):
    guard = non_finite_guard(model, CONFIG.replace(dtype_policy="mixed_float16"), None)
    assert guard.advice() == (
        "Nothing was saved yet. Try --dtype_policy=mixed_bfloat16, or float32."
    )


def test_advice_is_what_the_recipe_takes_and_where_to_go_on(model, monkeypatch):
    guard = non_finite_guard(model, CONFIG.replace(run_dir="runs/mine"))
    said = guard.advice()
    assert "is intact: --init_from=runs/mine begins another run with its T." in said
    assert said.endswith("Try a lower --learning_rate or --d_learning_rate.")
    monkeypatch.setattr(model, "discriminator", None)
    assert guard.advice().endswith("Try a lower --learning_rate.")


def test_finite_losses_pass(model):
    after_rounds(non_finite_guard(model), model, 3, {"t_adversarial": 1e30})


@pytest.mark.parametrize(
    ("network", "layer"),
    [("transformer", "layer_3_norm"), ("discriminator", "layer_5_norm")],
)
def test_finds_the_weight(model, network, layer):
    guard = non_finite_guard(model)
    guard.check_weights()
    norm = getattr(model, network).get_layer(layer)
    norm.moving_variance.assign(norm.moving_variance * np.nan)
    with pytest.raises(guards.NonFiniteError, match=f"{network} .*{layer}/moving_var"):
        guard.check_weights()


def test_a_broken_weight_is_never_saved(model):
    guard = non_finite_guard(model)
    saving = callbacks.Saving(Checkpoints(), guard, None, every=4)
    saving.set_model(model)
    bias = model.transformer.get_layer("layer_1").bias
    bias.assign(bias + np.inf)
    with pytest.raises(guards.NonFiniteError):
        saving.act(4, {})


def test_a_broken_weight_is_found_before_a_validation_may_call_it_the_best(model):
    guard = non_finite_guard(model, CONFIG.replace(validate_every=8))
    bias = model.transformer.get_layer("layer_1").bias
    bias.assign(bias * np.nan)
    after_rounds(guard, model, 1, {})
    with pytest.raises(guards.NonFiniteError, match="at iteration 8"):
        after_rounds(guard, model, 1, {})


# Signs of collapse: what a healthy run logs, then what shows each sign.
HEALTHY = {
    "d_real_probability": 0.6,
    "d_generated_probability": 0.4,
    "d_hinge_active": 0.5,
    "d_perceptual_adversarial": 0.2,
    "output_contrast": 0.9,
    "output_diversity": 0.8,
}
SICK = {
    "discriminator_won": {"d_real_probability": 0.98, "d_generated_probability": 0.01},
    "discriminator_lost": {"d_generated_probability": 0.95},
    "hinge_idle": {"d_hinge_active": 0.0},
    "hinge_full": {"d_hinge_active": 1.0},
    "blank_outputs": {"output_contrast": 0.05},
    "same_outputs": {"output_diversity": 0.05},
}


@pytest.fixture
def collapse_guard(model, tmp_path):
    writer = tf.summary.create_file_writer(str(tmp_path / "logs"))
    return guards.CollapseGuard(
        RunFolder(tmp_path), RunState(model), writer, after=40, memory=1
    )


def told(folder):
    return RunFolder(folder).warnings()


def test_a_sign_a_case():
    assert set(SICK) == {sign.name for sign in guards.SIGNS}


def test_a_healthy_run_is_left_alone(collapse_guard, model, tmp_path):
    after_rounds(collapse_guard, model, 50, HEALTHY)
    assert told(tmp_path) == []


@pytest.mark.parametrize("name", sorted(SICK))
def test_every_sign_is_told_once_with_iteration_and_flag(
    name, collapse_guard, model, tmp_path
):
    after_rounds(collapse_guard, model, 5, HEALTHY)
    after_rounds(collapse_guard, model, 10, HEALTHY | SICK[name])
    assert told(tmp_path) == []  # It has been there for 36 iterations.
    after_rounds(collapse_guard, model, 20, HEALTHY | SICK[name])
    (warning,) = told(tmp_path)
    assert warning.startswith("Since iteration 24, ") and " Try " in warning
    assert "--" in warning
    assert collapse_guard.state.guard["told"] == [name]


def test_a_sign_that_passes_is_forgotten(collapse_guard, model, tmp_path):
    for _ in range(5):
        after_rounds(collapse_guard, model, 9, HEALTHY | SICK["hinge_idle"])
        after_rounds(collapse_guard, model, 1, HEALTHY)
    assert told(tmp_path) == []


def test_who_rests_shows_no_sign(collapse_guard, model, tmp_path):
    """Where T is trained alone again, what was last seen of D says nothing."""
    after_rounds(collapse_guard, model, 5, HEALTHY)
    after_rounds(collapse_guard, model, 10, HEALTHY | SICK["discriminator_won"])
    alone = {name: v for name, v in HEALTHY.items() if not name.startswith("d_")}
    after_rounds(collapse_guard, model, 50, alone)
    assert told(tmp_path) == []


def test_a_single_round_is_no_sign(model, tmp_path):
    guard = guards.CollapseGuard(RunFolder(tmp_path), RunState(model), None, 4, memory=50)
    after_rounds(guard, model, 60, HEALTHY)
    after_rounds(guard, model, 2, HEALTHY | SICK["blank_outputs"])
    assert told(tmp_path) == []


def test_zero_warns_never(model, tmp_path):
    guard = guards.CollapseGuard(RunFolder(tmp_path), RunState(model), None, after=0)
    after_rounds(guard, model, 60, HEALTHY | SICK["hinge_full"])
    assert told(tmp_path) == []


def test_what_the_guard_remembers_survives_a_checkpoint(collapse_guard, model, tmp_path):
    after_rounds(collapse_guard, model, 8, HEALTHY | SICK["hinge_idle"])
    state = RunState(model)
    state.deserialize(collapse_guard.state.serialize())
    resumed = guards.CollapseGuard(
        collapse_guard.run, state, collapse_guard.writer, after=40, memory=1
    )
    after_rounds(resumed, model, 3, HEALTHY | SICK["hinge_idle"])
    (warning,) = told(tmp_path)
    assert warning.startswith("Since iteration 4, ")


def test_networks_without_these_logs_are_left_alone(collapse_guard, model, tmp_path):
    after_rounds(collapse_guard, model, 30, {"t_pixel": 0.1})
    assert told(tmp_path) == []


def images(seed):
    random = np.random.default_rng(seed)
    return tf.constant(random.uniform(-1, 1, (2, 64, 64, 3)).astype("float32"))


def played(model, player, updates=1):
    """Logs of the last of some updates on one minibatch."""
    minibatch = {"source": images(0), "target": images(1)}

    def update():
        return model.update(player, MinibatchCache(minibatch))

    # A single one takes less time than to trace it.
    traced, logs = tf.function(update) if updates > 1 else update, {}
    for _ in range(updates):
        logs = traced()
    return {name: float(value) for name, value in logs.items()}


def shown(name, logs):
    (sign,) = (sign for sign in guards.SIGNS if sign.name == name)
    return sign.shows(*[logs[read] for read in sign.reads])


@pytest.mark.parametrize(
    ("name", "changes", "updates"),
    [
        ("hinge_idle", {"margin": 1e-6}, 1),
        ("hinge_full", {"margin": 100.0}, 1),
        ("discriminator_won", {"d_learning_rate": 1e-3}, 60),
    ],
)
def test_real_updates_show_the_sign(toy, name, changes, updates):
    """D trains alone, or against a margin out of reach."""
    model = recipes.build(toy(**changes))
    assert shown(name, played(model, "discriminator", updates))


def test_a_discriminator_that_calls_everything_real_has_lost(toy):
    model = recipes.build(toy())
    model.discriminator.get_layer("layer_10").bias.assign([9.0])
    assert shown("discriminator_lost", played(model, "discriminator"))


def test_a_network_that_paints_one_colour_shows_both_signs(toy):
    model = recipes.build(toy())
    last = model.transformer.get_layer("layer_12")
    last.kernel.assign(last.kernel * 0.0)
    logs = played(model, "transformer")
    assert shown("blank_outputs", logs) and shown("same_outputs", logs)


def test_variation_is_the_ratio_of_deviations(toy):
    """Twin in NumPy; one level of 8 bits is added to each."""

    class Pair:
        output, target = images(0) * 0.5, images(1)

    level = 1 / 127.5
    expected = {
        name: (np.std(Pair.output, axes).mean() + level)
        / (np.std(Pair.target, axes).mean() + level)
        for name, axes in (("output_contrast", (1, 2)), ("output_diversity", 0))
    }
    got = {name: float(value) for name, value in variation(Pair).items()}
    assert got == pytest.approx(expected, rel=1e-5)


def test_warnings_are_lines_of_their_own(collapse_guard, model, tmp_path):
    after_rounds(collapse_guard, model, 20, HEALTHY | SICK["hinge_idle"])
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert set(json.loads(line)) == {"iteration", "warning"}
