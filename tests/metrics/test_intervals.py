import numpy as np
import pytest

from pan_tf.metrics import intervals
from pan_tf.metrics.intervals import mean_and_interval
from pan_tf.metrics.intervals import verdict


def test_interval_of_many_normal_values_is_the_textbook_one():
    values = np.random.default_rng(0).normal(5.0, 2.0, 400)
    found = mean_and_interval(values)
    half = 1.96 * values.std() / np.sqrt(400)
    assert found["mean"] == pytest.approx(values.mean())
    assert found["ci95"] == pytest.approx(
        [values.mean() - half, values.mean() + half], rel=0.005
    )


def test_intervals_cover_the_true_mean_19_times_in_20():
    random = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        low, high = mean_and_interval(random.exponential(1.0, 60))["ci95"]
        hits += low <= 1.0 <= high
    assert 178 <= hits <= 198


def test_constant_values_have_no_spread_and_one_value_no_interval():
    assert mean_and_interval([3.0, 3.0, 3.0])["ci95"] == [3.0, 3.0]
    assert mean_and_interval([3.0]) == {"mean": 3.0, "ci95": None}


def test_the_same_values_have_the_same_interval():
    values = np.random.default_rng(2).normal(size=50)
    assert mean_and_interval(values) == mean_and_interval(values)


def test_large_sets_are_resampled_in_parts(monkeypatch):

    values = np.random.default_rng(3).normal(size=500)
    whole = mean_and_interval(values)["ci95"]
    monkeypatch.setattr(intervals, "_AT_ONCE", 600)
    assert mean_and_interval(values)["ci95"] == pytest.approx(whole, abs=0.01)


@pytest.mark.parametrize(
    ("interval", "sign"),
    [([0.1, 0.2], 1), ([-0.2, -0.1], -1), ([-0.1, 0.1], 0), (None, 0)],
)
def test_a_verdict_needs_an_interval_on_one_side_of_zero(interval, sign):
    assert verdict({"mean": 0.1, "ci95": interval}) == sign


def test_an_interval_is_as_wide_as_the_textbooks():
    """1.96 standard errors to either side; of 96 % it would be 2.05."""
    values = np.random.default_rng(0).normal(0.0, 2.0, 400)
    low, high = mean_and_interval(values)["ci95"]
    half = (high - low) / 2
    assert half == pytest.approx(1.96 * values.std() / np.sqrt(400), rel=0.02)
