"""What a row of one's own must give, and how it is told where it does not."""

import numpy as np
import pytest
import tensorflow as tf

from pan_tf import evaluation
from pan_tf import metrics
from pan_tf.evaluation.measure import _comparison
from pan_tf.metrics import Metric
from pan_tf.metrics import table
from pan_tf.size import Size


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "needs one of function, make, of_scores, of_sets, and has"),
        ({"function": abs, "of_sets": abs}, r"has \['function', 'of_sets'\]"),
        ({"function": abs, "compares": ("sauce", "output")}, r"compares \['sauce'\]"),
        ({"function": abs, "compares": ("output",)}, "compares two images, and 1"),
        ({"of_scores": abs}, "must name the rows that it is `made_of`"),
        ({"function": abs, "made_of": ("psnr",)}, "must name the rows"),
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
    "in a graph, .*: AttributeError": lambda one, other: one.numpy().mean((1, 2, 3)),
    "in a graph, .*: NotImplementedError": lambda one, other: np.mean(one, (1, 2, 3)),
    "in a graph, .*: KeyError: 'edges'": lambda one, other: {}["edges"],
}


@pytest.mark.parametrize(("sentence", "function"), FAULTY.items())
def test_a_function_is_tried_before_a_training(sentence, function, monkeypatch):
    monkeypatch.setitem(metrics.ROWS, "mine", Metric("Mine", function=function))
    _comparison.cache_clear()  # Of another metric by this name.
    with pytest.raises(ValueError, match=f"The metric 'mine' .*{sentence}"):
        evaluation.check_functions(["balanced", "mine"], Size(16, 24), 3, None)


def test_a_row_made_of_others_has_them_measured(monkeypatch):
    rows = {
        "mine": Metric(
            "Mine", function=lambda a, b: mean_of(a, (1, 2, 3)), is_usual=False
        ),
        "both": Metric(
            "Both", of_scores=lambda s: s["mine"] + s["uqi"], made_of=("mine", "uqi")
        ),
        "slip": Metric("Slip", of_scores=lambda s: s["psnr"], made_of=("uqi",)),
    }
    for name, row in rows.items():
        monkeypatch.setitem(metrics.ROWS, name, row)
    _comparison.cache_clear()
    assert metrics.with_parts(["both", "uqi"]) == ["uqi", "mine", "both"]
    evaluation.check_functions(["both"], Size(16, 24), 3, None)
    with pytest.raises(ValueError, match=r"'slip' cannot .*KeyError: 'psnr'"):
        evaluation.check_functions(["slip"], Size(16, 24), 3, None)


def test_a_row_in_another_table_than_its_own_is_named():
    of_sets = {"gap": Metric("Gap", of_sets=abs)}
    of_images = {"mine": Metric("Mine", function=abs)}
    table.check_tables(of_images, of_sets)
    with pytest.raises(ValueError, match="'gap' is of sets: put it into SET_METRICS"):
        table.check_tables(of_sets, {})
    with pytest.raises(ValueError, match="'mine' is not of sets: put it into METRICS"):
        table.check_tables({}, of_images)
    made = {"both": Metric("Both", of_scores=abs, made_of=("mine", "gap"))}
    with pytest.raises(ValueError, match=r"'both' is made of \['gap'\]"):
        table.check_tables(of_images | made, of_sets)


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
