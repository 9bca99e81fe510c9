"""What a row of one's own must give, and how it is told where it does not."""

import numpy as np
import pytest
import tensorflow as tf

from pan_tf import evaluation
from pan_tf import metrics
from pan_tf.evaluation.measure import _comparison
from pan_tf.metrics import Metric
from pan_tf.size import Size


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "needs one of function, make, of_scores, of_sets, and has"),
        ({"function": abs, "of_sets": abs}, r"has \['function', 'of_sets'\]"),
        ({"function": abs, "compares": ("sauce", "output")}, r"compares \['sauce'\]"),
        ({"function": abs, "compares": ("output",)}, "compares two images, and 1"),
        ({"make": abs, "needs": ("mynet",)}, r"weights of \['mynet'\]: there are vgg16"),
    ],
)
def test_a_row_that_says_too_little_or_too_much_is_named(settings, sentence):
    with pytest.raises(ValueError, match=rf"The metric 'Mine' .*{sentence}"):
        Metric("Mine", **settings)


def mean_of(pair, axes):
    return tf.reduce_mean(tf.cast(pair, tf.float32), axes)


FAULTY = {
    "the shape \\(\\)": lambda one, other: mean_of(one, None),
    "the shape \\(2, 3\\)": lambda one, other: mean_of(one, (1, 2)),
    "is nan for 2 of 2 images": lambda one, other: mean_of(one, (1, 2, 3)) * np.nan,
    "cannot be a part of a graph": lambda one, other: one.numpy().mean((1, 2, 3)),
}


@pytest.mark.parametrize(("sentence", "function"), FAULTY.items())
def test_a_function_is_tried_before_a_training(sentence, function, monkeypatch):
    monkeypatch.setitem(metrics.ROWS, "mine", Metric("Mine", function=function))
    _comparison.cache_clear()  # Of another metric by this name.
    with pytest.raises(ValueError, match=f"The metric 'mine' .*{sentence}"):
        evaluation.check_functions(["balanced", "mine"], Size(16, 24), 3, None)


def test_what_is_infinite_counts_as_its_largest():
    values = [np.inf, 30.0]
    assert metrics.checked("psnr", values, 2).tolist() == values
    with pytest.raises(ValueError, match="'ssim' is inf for 1 of 2 images"):
        metrics.checked("ssim", values, 2)


@pytest.mark.parametrize(
    "value", [{"mean": np.nan}, {"mean": None}, {}, {"mean": 1, "ci95": [0.0]}, np.nan]
)
def test_a_faulty_number_of_a_set_is_named(value):
    with pytest.raises(ValueError, match="The metric 'kid' must be"):
        metrics.checked_set("kid", value, 5)


def test_numbers_of_a_set_are_plain():
    found = metrics.checked_set("kid", np.float32(0.5), 5)
    assert found == {"mean": 0.5, "ci95": None} and type(found["mean"]) is float
    interval = {"mean": np.float32(0.5), "ci95": np.array([0.25, 1.0])}
    assert metrics.checked_set("kid", interval, 5) == {"mean": 0.5, "ci95": [0.25, 1.0]}
    assert metrics.checked_set("kid", np.ones(5), 5).shape == (5,)
    with pytest.raises(ValueError, match=r"the shape \(5,\) here\. Received: .*\(4,\)"):
        metrics.checked_set("kid", np.ones(4), 5)
