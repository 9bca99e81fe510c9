import dataclasses
import json
import re

import numpy as np
import pytest
from absl import flags

from pan_tf import config as config_lib
from pan_tf import flagfiles
from pan_tf import recipes
from pan_tf.config import Config
from pan_tf.size import Size


def test_run_cfg_round_trip(tmp_path):
    config = Config(
        dataset="maps", lambdas=(1.0, 0.0, 0.5, 2.0), flip=False, theta=0.25, seed=7
    )
    path = tmp_path / "run.cfg"
    path.write_text(config.to_flagfile())
    assert Config.from_flagfile(path) == config


def test_numbers_of_numpy_are_numbers(tmp_path):
    config = Config(
        dataset="maps",
        iterations=np.int64(7),
        theta=np.float32(0.5),
        lambdas=[np.float64(1), 0, 0, np.int32(2)],
    )
    assert json.loads(json.dumps(config.to_json())) and config.theta == 0.5
    assert {type(value) for value in config.lambdas} == {float}
    (tmp_path / "run.cfg").write_text(config.to_flagfile())
    assert Config.from_flagfile(tmp_path / "run.cfg") == config


@pytest.mark.parametrize(
    "settings",
    [{"augment": []}, {"d_augment": []}, {"lambdas": ()}, {"d_augment": ["none"]}],
)
def test_an_empty_list_is_what_run_cfg_gives_back(settings, tmp_path):
    config = Config(dataset="maps", **settings)
    (tmp_path / "run.cfg").write_text(config.to_flagfile())
    assert Config.from_flagfile(tmp_path / "run.cfg") == config
    assert "d_augment" not in settings or config.d_augment == ("none",)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"lambdas": ["a"]}, "--lambdas must be a list, each a number. Received: 'a'."),
        ({"augment": [1]}, "--augment must be a list, each text. Received: 1."),
        ({"image_size": None}, "--image_size must have a value. Received: None."),
        ({"seed": None}, "--seed must have a value. Received: None."),
    ],
)
def test_what_no_flag_could_say_is_refused(settings, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Config(dataset="maps", **settings)


FORMS = [
    ("--flip", {"flip": True}),
    ("--noflip", {"flip": False}),
    ("--flip=1", {"flip": True}),
    ("--flip=True", {"flip": True}),
    ("--flip=false", {"flip": False}),
    ("--flip\n--flip=", {"flip": None}),
    ("-flip\n\n# of mine\n// too\n--seed=7", {"flip": True, "seed": 7}),
    ("--theta=.5\n--theta=", {"theta": None}),
    ("--iterations=5\n--iterations=", {"iterations": 100_000}),
    ("--nodownload\n--download=", {"download": True}),
    ("--data_dir=here\n--data_dir=", {"data_dir": "data"}),
    ("--lambdas=1,2,3,.5", {"lambdas": (1.0, 2.0, 3.0, 0.5)}),
    ("--lambdas=1,2,3,4\n--lambdas=", {"lambdas": None}),
    ("--recipe=l1\n--recipe=", {"recipe": "pan"}),
    ("--direction=BtoA\n--direction=", {"direction": None}),
    ("--best_by=vif\n--seed=1\n--seed=2", {"best_by": "vif", "seed": 2}),
]


@pytest.mark.parametrize(("lines", "expected"), FORMS)
def test_a_flagfile_is_read_as_by_the_command_line(lines, expected, tmp_path):
    path = tmp_path / "some.cfg"
    path.write_text(f"--dataset=maps\n{lines}\n")
    config = Config.from_flagfile(path)
    assert config == Config(dataset="maps", **expected)
    values = flags.FlagValues()
    flagfiles.define_flags(Config, values)
    flagfiles.accept_empty(values)
    values(["program", f"--flagfile={path}"])
    assert flagfiles.from_flags(Config, values) == config


def test_an_empty_value_takes_back_what_the_flagfile_before_it_set(tmp_path):
    path = tmp_path / "some.cfg"
    path.write_text("--theta=0.5\n--iterations=7\n--noflip\n")
    values = flags.FlagValues()
    flagfiles.define_flags(Config, values)
    flagfiles.accept_empty(values)
    values(["program", f"--flagfile={path}", "--theta=", "--iterations=", "--flip="])
    assert flagfiles.from_flags(Config, values) == Config()


def test_flagfiles_may_be_nested(tmp_path):
    inner, outer = tmp_path / "inner.cfg", tmp_path / "outer.cfg"
    inner.write_text("--seed=3\n--width=0.5\n")
    outer.write_text(f"--seed=2\n--flagfile={inner}\n--width=0.25\n")
    assert Config.from_flagfile(outer) == Config(seed=3, width=0.25)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--recepi=pan", "Unknown command line flag 'recepi'"),
        ("--iterations=many", "--iterations=many: must be a positive integer"),
        ("--theta=much", "--theta=much: must be a non-negative number"),
        ("--lambdas=1,two", "numbers with commas between them"),
        ("--theta=nan", "--theta must be finite"),
        ("--learning_rate=inf", "--learning_rate must be finite"),
        ("--lambdas=1,2,3,nan", "--lambdas must be finite"),
        ("--noseed", "noseed"),
        ("--flip=perhaps", "--flip=perhaps: must be true or false"),
        ("seed=3", "'seed=3' does not"),
        ("--flagfile=nowhere.cfg", "nowhere.cfg"),
        ("--seed=-1", "--seed=-1"),
        ("--task=quickstart", "--task goes with the command; in a flagfile use"),
    ],
)
def test_what_a_flagfile_cannot_say_names_file_and_flag(line, message, tmp_path):
    path = tmp_path / "some.cfg"
    path.write_text(f"--dataset=maps\n{line}\n--image_size=64\n")
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        Config.from_flagfile(path)
    assert str(path) in str(caught.value)


def test_a_flagfile_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Config.from_flagfile(tmp_path / "none.cfg")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"recipe": "pna"}, "--recipe must be one of: autoencoder, cgan"),
        ({"dataset": "map"}, "--dataset must be one of"),
        ({"image_size": 100}, "--image_size must be a multiple of 64"),
        ({"image_size": 256, "load_size": 128}, "--load_size must be at least"),
        ({"batch_size": 0}, "--batch_size must be at least 1"),
        ({"seed": 2**32}, "--seed must be at least 0, at most 4294967295"),
        ({"real_label": 1.5}, "--real_label must be at least 0.0, at most 1.0"),
        ({"lambdas": (1.0, -2.0, 1.0, 1.0)}, "--lambdas must be at least 0"),
        ({"d_augment": ("shift", "none")}, "--d_augment=none excludes every other"),
        ({"augment": ("rot90", "rot90")}, "--augment must name each once"),
        ({"iterations": 10, "decay_start": 10}, "--decay_start must be below"),
    ],
)
def test_illegal_settings_name_their_flag(settings, message):
    with pytest.raises(ValueError, match=message):
        Config(**settings)


@pytest.mark.parametrize(("size", "load"), [(256, 286), (128, 143), (64, 72)])
def test_jitter_is_286_at_256(size, load):
    assert Config(image_size=size).jittered_size == Size(load, load)


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
    from pan_tf.data import DATASETS
    from pan_tf.data import augment
    from pan_tf.metrics import METRICS

    assert set(config_lib.RECIPE_NAMES) == set(recipes.RECIPES)
    assert config_lib.DATASET_NAMES == tuple(DATASETS)
    assert config_lib.METRIC_NAMES == tuple(METRICS)
    (augmentations,) = (
        f.metadata["choices"] for f in dataclasses.fields(Config) if f.name == "augment"
    )
    assert {"flip", *augmentations} == {*augment.AUGMENTATIONS}  # --flip is its own.


@pytest.mark.parametrize(
    "settings",
    [{"dataset": "celeb_a"}, {"dataset": "horse2zebra", "attribute": "Smiling"}],
)
def test_an_attribute_goes_with_faces(settings):
    with pytest.raises(ValueError, match="--attribute goes with celeb_a and celeba_hq"):
        Config(**settings)


def test_roles_may_be_named_as_they_were(tmp_path):
    path = tmp_path / "old.cfg"
    for old, new in (("unet", "translate"), ("deraining", "restore")):
        path.write_text(f"--transformer={old}\n")
        assert Config.from_flagfile(path) == Config(transformer=old)
        assert Config(transformer=old).transformer == new


def test_a_flag_may_be_named_as_it_was(tmp_path):
    path = tmp_path / "old.cfg"
    path.write_text("--statistics=image\n")
    assert Config.from_flagfile(path) == Config(bn_statistics="image")


def test_a_byte_order_mark_is_told(tmp_path):
    path = tmp_path / "run.cfg"
    path.write_text("--seed=3\n", encoding="utf-8-sig")
    with pytest.raises(ValueError, match="begins with a byte order mark"):
        Config.from_flagfile(path)
    outer = tmp_path / "outer.cfg"
    outer.write_text(f"--flagfile={path}\n")
    with pytest.raises(ValueError, match=r"outer.*begins with a byte order mark"):
        Config.from_flagfile(outer)


def test_what_commands_have_beside_settings_is_no_setting(tmp_path):
    path = tmp_path / "mine.cfg"
    path.write_text("--verbose\n--seed=3\n")
    assert Config.from_flagfile(path) == Config(seed=3)


@pytest.mark.parametrize(
    "settings",
    [
        {"width": 1e30},
        {"data_cache": 1e300},
        {"batch_size": 10**23},
        {"d_updates": 10**20},
        {"margin": True},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_numbers_that_no_machine_can_have_are_refused(settings):
    with pytest.raises(ValueError, match=f"--{next(iter(settings))} must be"):
        Config(**settings)


def test_what_xla_would_undo_is_refused():
    with pytest.raises(ValueError, match="--recompute does not go with --jit_compile"):
        Config(recompute=True, jit_compile=True)


def test_a_size_takes_whole_numbers_of_any_kind():
    assert Config(image_size=np.int64(64)).image_size == (64, 64)
    assert Config(image_size=[np.int32(64), 128]).image_size == (64, 128)
    with pytest.raises(ValueError, match="--image_size must be pixels"):
        Config(image_size=(64.7, 64))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source_channels": 2}, "--source_channels and --target_channels must be 1"),
        ({"target_channels": 2}, "--source_channels and --target_channels must be 1"),
        ({"preprocess": "crop", "load_size": 128}, "--load_size goes with --preprocess"),
        ({"source_labels": 5, "source_channels": 3}, "--source_channels follows from"),
        ({"source_labels": 5, "synthesize": "rain"}, "--source_labels goes with sources"),
        ({"image_size": (64, 128), "load_size": (72, 100)}, "--load_size must be at"),
    ],
)
def test_settings_that_do_not_go_together_name_their_flag(settings, message):
    with pytest.raises(ValueError, match=message):
        Config(**{"image_size": 64, **settings})


def test_nothing_is_jittered_where_nothing_is_resized():
    assert Config(image_size=256, preprocess="crop").jittered_size == Size(256, 256)
