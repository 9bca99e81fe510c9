"""What docs/howto/extend.md says of new rows is so."""

import pathlib
import re

import numpy as np
import tensorflow as tf

from pan_tf import recipes
from pan_tf.metrics import Metric
from pan_tf.recipes import table
from tests.trained import eagerly

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "howto" / "extend.md"


def rows(word):
    """The dictionary that a code block of the page with this word spells."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    (block,) = (block for block in blocks if f"{word}(" in block)
    names = {
        **vars(table),  # Where a recipe's row is to be put.
        "Metric": Metric,
        "mae": lambda reference, prediction: tf.zeros(len(reference)),
    }
    return eval("{" + block + "}", names)


def test_the_recipe_trains(toy, monkeypatch):
    for name, row in rows("Recipe").items():
        monkeypatch.setitem(recipes.RECIPES, name, row)
    # `Config` offers the names that the table spells out.
    config = toy(recipe="pan").replace(image_size=64)
    object.__setattr__(config, "recipe", "mine")
    model = recipes.build(config)
    shape = (2, model.schedule.minibatches, 64, 64, 3)
    images = tf.random.stateless_uniform(shape, (0, 1), -1, 1)
    with eagerly():
        model.make_train_function()
        logs = model.train_function(iter([{"source": images, "target": -images}]))
    assert {"t_pixel", "t_feature_matching", "d_adversarial"} <= logs.keys()
    assert all(np.isfinite(value) for value in logs.values())


def test_the_metric_is_a_row():
    (row,) = rows("Metric").values()
    assert row.of_images and not row.higher_is_better and row.text(1.234) == "1.23"
