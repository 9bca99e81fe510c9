"""A few of the drawn combinations of flags; benchmarks/configurations.py has more."""

import random

import numpy as np
import pytest

from pan_tf.cli import parsing
from pan_tf.config import Config
from pan_tf.inference import Translator
from pan_tf.runs import training
from tests import combinations
from tests.trained import train


@pytest.fixture(scope="module")
def kinds(tmp_path_factory, narrow_vgg):
    place = tmp_path_factory.mktemp("kinds")
    weights = {"vgg_weights": str(narrow_vgg)}
    return [combinations.files(kind, place) | weights for kind in combinations.KINDS]


@pytest.fixture
def pairs(tmp_path):
    return combinations.Pairs(tmp_path / "pairs.json")


def test_any_flags_are_accepted_or_refused_in_a_sentence(kinds, pairs):
    refused = 0
    for number in range(100):
        flags, _ = combinations.any_flags(random.Random(number), pairs, kinds)
        sentence = combinations.refusal(flags)  # Other errors than its own come through.
        refused += bool(sentence)
        assert not sentence or " " in sentence.strip(), (flags, sentence)
    assert 20 < refused < 100


def test_what_is_drawn_as_legal_covers_pairs_one_after_the_other(kinds, pairs):
    for number in range(12):
        flags, wanted = combinations.legal(random.Random(number), pairs, kinds)
        assert not combinations.refusal(flags)
        assert {*wanted} <= {*flags, flags["recipe"]}
        assert wanted not in pairs.covered
        pairs.trained(flags)
        assert wanted in pairs.covered


def test_a_pair_that_every_recipe_refuses_is_kept_with_the_sentence(kinds, tmp_path):
    path = tmp_path / "pairs.json"
    pairs = combinations.Pairs(path)
    wanted = iter([("lambdas", "vgg"), None])
    pairs.wanted = lambda _: next(wanted)
    assert combinations.legal(random.Random(0), pairs, kinds) == ({}, None)
    assert pairs.covered == {("lambdas", "vgg")}
    assert "has no use for --" in path.read_text()


@pytest.mark.parametrize("number", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_drawn_combination_trains_goes_on_and_translates(
    number, kinds, pairs, tmp_path
):
    flags, _ = combinations.legal(random.Random(number), pairs, kinds)
    fixed = {**combinations.FIXED, "run_dir": tmp_path / "run"}
    argv = [f"--{name}={value}" for name, value in {**flags, **fixed}.items()]
    config, _ = parsing.parse(Config, argv, "", "train")
    train(config)
    trained = Translator(config.run_dir, checkpoint="last").checkpoint["iteration"]
    try:
        train(config.replace(iterations=2 * trained))
        trained *= 2
    except training.REFUSALS as error:  # Rates are laid out over them.
        assert "--iterations must be" in str(error)
    translator = Translator(config.run_dir, checkpoint="last")
    assert translator.checkpoint["iteration"] >= trained
    source, target = translator.source, translator.target
    output = translator(np.zeros((70, 80, source.planes), source.dtype))
    assert output.shape == (70, 80, target.planes)
    assert output.dtype == target.dtype
