import dataclasses

import pytest
from absl import flags

from pan_tf import command_line
from pan_tf import config as config_lib
from pan_tf import recipes
from pan_tf.config import Config


def test_run_cfg_round_trip(tmp_path):
    config = Config(
        dataset="maps", lambdas=(1.0, 0.0, 0.5, 2.0), flip=False, theta=0.25, seed=7
    )
    path = tmp_path / "run.cfg"
    path.write_text(config.to_flagfile())
    assert Config.from_flagfile(path) == config


def test_flags_give_the_same_config(tmp_path):
    """What run.cfg holds can be given back by --flagfile, for every setting."""
    values = flags.FlagValues()
    before, flags.FLAGS = flags.FLAGS, values
    try:
        for name in ("DEFINE_string", "DEFINE_enum", "DEFINE_boolean"):
            assert callable(getattr(flags, name))
        _define_into(values)
        config = Config(
            dataset="folder", lambdas=(1.0, 2.0, 3.0, 4.0), flip=True, margin=0.5
        )
        path = tmp_path / "run.cfg"
        path.write_text(config.to_flagfile())
        values(["program", f"--flagfile={path}"])
        assert command_line.config_from_flags() == config
    finally:
        flags.FLAGS = before


def _define_into(values):
    """`define_flags`, into flag values of the test's own."""
    originals = {n: getattr(flags, n) for n in dir(flags) if n.startswith("DEFINE_")}
    try:
        for name, define in originals.items():
            setattr(flags, name, _bound(define, values))
        command_line.define_flags()
    finally:
        for name, define in originals.items():
            setattr(flags, name, define)


def _bound(define, values):
    return lambda *args, **kwargs: define(*args, flag_values=values, **kwargs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"recipe": "pna"}, "--recipe must be one of: autoencoder, cgan"),
        ({"dataset": "map"}, "--dataset must be one of"),
        ({"image_size": 100}, "--image_size must be a multiple of 64"),
        ({"image_size": 256, "load_size": 128}, "--load_size must be at least"),
        ({"batch_size": 0}, "--batch_size must be at least 1"),
        ({"real_label": 1.5}, "--real_label must be at least 0.0, at most 1.0"),
        ({"lambdas": (1.0, 2.0)}, "--lambdas must be 4 numbers"),
        ({"lambdas": (1.0, -2.0, 1.0, 1.0)}, "--lambdas must be at least 0"),
        ({"iterations": 10, "decay_start": 10}, "--decay_start must be below"),
    ],
)
def test_illegal_settings_name_their_flag(settings, message):
    with pytest.raises(ValueError, match=message):
        Config(**settings)


@pytest.mark.parametrize(("size", "load"), [(256, 286), (128, 143), (64, 72)])
def test_jitter_is_286_at_256(size, load):
    assert Config(image_size=size).jittered_size == load


def test_a_longer_run_is_the_same_run_unless_its_schedule_ends_with_it():
    assert not Config(iterations=10).differences(Config(iterations=20))
    decaying = Config(iterations=10, decay_start=5)
    assert "iterations" in decaying.differences(decaying.replace(iterations=20))


def test_differences_name_both_values():
    assert Config(seed=1).differences(Config(seed=2)) == {"seed": (1, 2)}


def test_every_setting_has_a_sentence_of_help():
    for field in dataclasses.fields(Config):
        assert field.metadata["help"].endswith("."), field.name


def test_choices_are_what_there_is():
    from pan_tf.data import datasets

    assert set(config_lib.RECIPE_NAMES) == set(recipes.RECIPES)
    assert set(config_lib.DATASET_NAMES) == set(datasets._DIRECTIONS)


@pytest.mark.parametrize(
    "settings",
    [{"dataset": "celeb_a"}, {"dataset": "horse2zebra", "attribute": "Smiling"}],
)
def test_an_attribute_goes_with_faces(settings):
    with pytest.raises(ValueError, match="--attribute goes with celeb_a and celeba_hq"):
        Config(**settings)
