from types import SimpleNamespace

import keras
import pytest
import tensorflow as tf
from keras import layers

from pan_tf import cli
from pan_tf import distribution
from pan_tf import dry_run
from pan_tf import networks
from pan_tf import progress
from pan_tf import recipes
from pan_tf.config import Config
from pan_tf.models import Course


@pytest.mark.parametrize(
    ("changes", "d_passes", "t_passes"),
    [
        ({}, 15, 10),
        ({"reuse_minibatch": True}, 13, 9),
        ({"d_updates": 2, "t_updates": 1}, 15, 5),
        ({"d_updates": 2, "t_updates": 1, "reuse_minibatch": True}, 15, 3),
    ],
)
def test_passes_of_a_cycle(toy, changes, d_passes, t_passes):
    """A pass forward counts once, one back once for images and once for weights."""
    recipe = recipes.resolve(toy(batch_size=10**6, **changes))
    t, d = recipe.transformer(64), recipe.discriminator(64)
    expected = d_passes * dry_run.multiply_accumulates(d)
    expected += t_passes * dry_run.multiply_accumulates(t)
    text = dry_run.cost(recipe, t, d, 64)
    assert f"about {expected / 1e3:,.0f} GMAC" in text


@pytest.mark.parametrize(
    "name", ["vgg_ms_cyclegan", "rand_ms_cyclegan", "cyclegan", "autoencoder", "l1"]
)
def test_every_kind_of_recipe_is_described(toy, capsys, name):
    dry_run.describe(toy(recipe=name))
    out = capsys.readouterr().out
    assert "trainable parameters" in out and "A round: " in out
    assert ("And the same for the inverse." in out) == name.endswith("cyclegan")


def test_a_network_inside_a_network_is_counted():
    own = networks.perceptual_discriminator(64, sees="own_features", width=1 / 16)
    vgg = networks.vgg_encoder("vgg19", star=True, size=64)
    assert dry_run.multiply_accumulates(own) > dry_run.multiply_accumulates(vgg) > 1e9


def test_it_opens_the_data_measures_a_step_and_leaves_nothing(
    small_pairs, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    monkeypatch.setattr(distribution, "make_strategy", lambda: strategy)
    flags = [
        "--dataset=folder",
        f"--data_dir={small_pairs}",
        "--image_size=64",
        "--width=0.0625",
    ]
    flags += ["--batch_size=2", "--iterations=40", "--recipe=l1", "--dry_run"]
    assert not cli.run("train", flags)
    out = capsys.readouterr().out
    assert "Data: folder: 6 train pairs, 5 val pairs; " in out
    assert "An epoch: 3 iterations of 2; 40 iterations are 13.3 epochs." in out
    assert "Measured: a round of 1 iteration(s) takes " in out
    assert "Memory: " in out and "Devices: CPU" in out
    assert "Run folder: runs/l1-folder-64, new; nothing was written to it." in out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("course", "spans", "begins"),
    [
        (None, [("", [(0, 20)])], {0}),
        (Course(decay=0.5, iterations=20), [("", [(0, 20)])], {0}),
        (
            Course(alone=0.3, settle=0.1, iterations=20),
            [(", T alone", [(0, 6), (18, 20)]), (", with D", [(6, 18)])],
            {0, 6},
        ),
        (
            Course(settle=0.1, iterations=20),
            [(", T alone", [(18, 20)]), (", with D", [(0, 18)])],
            {0, 18},
        ),
        # Rounding leaves a part nothing.
        (Course(alone=0.3, settle=0.1, iterations=1), [(", with D", [(0, 1)])], {0}),
        (Course(alone=0.98, iterations=20), [(", T alone", [(0, 20)])], {0}),
    ],
)
def test_each_part_of_a_course_is_measured_where_it_is(
    monkeypatch, course, spans, begins
):
    class Model:
        iteration, begun = 0, set()

        def make_train_function(self):
            pass

        def train_function(self, batches):
            self.begun.add(self.iteration)
            self.iteration += 2
            return {"t_pixel": 1.0}

    model = Model()
    monkeypatch.setattr(dry_run.loop, "training_dataset", lambda *_: [])
    config = Config(iterations=20 if course is None else course.iterations)
    run = SimpleNamespace(
        config=config,
        system=SimpleNamespace(course=course),
        data=None,
        build=lambda: model,
    )
    assert [(name, where) for name, where, _ in dry_run._measured(run)] == spans
    assert model.begun == begins


def test_what_is_left_is_counted_in_rounds(monkeypatch, capsys):
    for module, name in (
        (dry_run, "describe"),
        (dry_run, "_data"),
        (distribution, "describe"),
    ):
        monkeypatch.setattr(module, name, lambda *_: "")
    measured = [("", [(0, 100)], [5.0, 2.0, 2.0])]
    monkeypatch.setattr(dry_run, "_measured", lambda run: measured)
    dry_run.report(
        SimpleNamespace(
            config=Config(iterations=100, run_dir="r"),
            data=None,
            folder=SimpleNamespace(last_iteration=lambda: 41),
            system=SimpleNamespace(schedule=SimpleNamespace(minibatches=2)),
            strategy=None,
        )
    )
    said = capsys.readouterr().out
    assert f"59 iterations take about {progress.duration(30 * 2.0 + 5.0)}" in said
    assert "to go on with at iteration 41" in said


@pytest.mark.parametrize(("recipe", "passes"), [("id_cgan", 3), ("vgg_ms_cyclegan", 6)])
def test_passes_through_vgg_are_counted(toy, monkeypatch, recipe, passes):
    system = recipes.resolve(toy(recipe=recipe, batch_size=10**6))
    t, d = system.transformer(64), system.discriminator(64)
    monkeypatch.setattr(
        dry_run,
        "multiply_accumulates",
        lambda network: 1000 * network.name.startswith("vgg"),
    )
    assert f"about {passes} GMAC" in dry_run.cost(system, t, d, 64)


def test_macs_of_a_transposed_convolution():
    image = keras.Input((8, 6, 2))
    model = keras.Model(image, layers.Conv2DTranspose(3, 4, 2, padding="same")(image))
    assert dry_run.multiply_accumulates(model) == 8 * 6 * 4 * 4 * 2 * 3


def test_weights_of_both_directions_are_counted(toy):
    system = recipes.resolve(toy(recipe="cyclegan", image_size=64, width=1.0))
    t, d = system.transformer(64), system.discriminator(64)
    count = t.count_params() + d.count_params()
    said = f"Weights and Adam's moments: {2 * 12 * count / 2**20:,.0f} MiB"
    assert said in dry_run.cost(system, t, d, 64)


def test_accumulated_minibatches_cost_as_many_passes(toy):
    def total(**changes):
        system = recipes.resolve(toy(batch_size=10**6, **changes))
        text = dry_run.cost(system, system.transformer(64), system.discriminator(64), 64)
        return float(text.partition("about ")[2].partition(" GMAC")[0].replace(",", ""))

    assert total(accumulate=3) == pytest.approx(3 * total(), rel=1e-3)
