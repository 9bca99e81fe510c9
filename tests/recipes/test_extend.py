"""What docs/howto/extend.md says of new rows is so."""

import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

from pan_tf import networks
from pan_tf import recipes
from pan_tf.data import augment
from pan_tf.images import ImageSpec
from pan_tf.metrics import Metric
from pan_tf.networks import declarations
from pan_tf.networks import unet
from pan_tf.recipes import table
from tests.trained import eagerly

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "howto" / "extend.md"


def block(text):
    """The code block of the page that holds some text."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    (found,) = (block for block in blocks if text in block)
    return found


def rows(word):
    """The dictionary that a code block of the page with this word spells."""
    names = {
        **vars(table),  # Where a recipe's row is to be put.
        "Metric": Metric,
        "mae": lambda reference, prediction: tf.zeros(len(reference)),
    }
    return eval("{" + block(f"{word}(") + "}", names)


def test_the_recipe_trains(toy, monkeypatch):
    for name, row in rows("Recipe").items():
        monkeypatch.setitem(recipes.RECIPES, name, row)
    # `Config` offers the names that the table spells out.
    config = toy(recipe="pan").replace(image_size=64)
    object.__setattr__(config, "recipe", "mine")
    logs = trained_once(recipes.build(config))
    assert {"t_pixel", "t_feature_matching", "d_adversarial"} <= logs.keys()
    assert all(np.isfinite(value) for value in logs.values())


def test_the_transformer_is_a_t(monkeypatch):
    monkeypatch.setitem(networks.TRANSFORMERS, "small_transformer", None)
    names = {}
    exec(block("def small_transformer("), names)
    assert networks.TRANSFORMERS["small_transformer"] is names["small_transformer"]
    assert networks.small_transformer is names["small_transformer"]
    with pytest.raises(AttributeError, match="has no attribute 'smal_transformer'"):
        networks.smal_transformer  # noqa: B018
    network = names["small_transformer"](width=1 / 16)
    assert network(tf.zeros((1, 64, 96, 3))).shape == (1, 64, 96, 3)
    field = networks.receptive_field(network)
    assert field.multiple == 2 and field.radius < 8
    with pytest.raises(ValueError, match=r"multiple of 2 .*T halves the image once"):
        names["small_transformer"].declaration.check_size(65)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_any_recipe_can_take_the_transformer(policy, toy, monkeypatch):
    monkeypatch.setitem(networks.TRANSFORMERS, "small_transformer", None)
    exec(block("def small_transformer("), {**vars(unet), **vars(declarations)})
    config = toy(recipe="pix2pix", dtype_policy=policy)
    object.__setattr__(config, "transformer", "small_transformer")
    logs = trained_once(recipes.build(config))
    assert all(np.isfinite(value) for value in logs.values())


def trained_once(model):
    """The logs of a round, computed op by op."""
    shape = (2, model.schedule.minibatches, 64, 64, 3)
    images = tf.random.stateless_uniform(shape, (0, 1), -1, 1)
    with eagerly():
        model.make_train_function()
        return model.train_function(iter([{"source": images, "target": -images}]))


def test_the_augmentation_changes_the_source_alone(monkeypatch):
    names = dict(vars(augment))
    exec(block("def dusk("), names)
    monkeypatch.setitem(augment.AUGMENTATIONS, "dusk", names["dusk"])
    images = tf.fill((1, 4, 4, 4), tf.constant(200, tf.uint8))
    sides = {"source": ImageSpec(1), "target": ImageSpec(3)}
    seed = tf.constant([1, 2], tf.int64)
    found = augment.augment(images, seed, ("dusk",), sides).numpy()
    assert 100 <= found[..., :1].min() == found[..., :1].max() < 200
    assert (found[..., 1:] == 200).all()


def test_the_metric_is_a_row():
    (row,) = rows("Metric").values()
    assert row.of_images and not row.higher_is_better and row.text(1.234) == "1.23"
