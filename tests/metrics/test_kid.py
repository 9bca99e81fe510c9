import numpy as np
import pytest

from pan_tf import metrics
from pan_tf.metrics.distribution import kid
from pan_tf.metrics.distribution.sets import Sets
from tests.conftest import smooth_noise


def sample(count, shift=0.0, seed=0):
    return np.random.default_rng(seed).normal(shift, 1.0, (count, 6))


def test_it_is_the_definition():
    """Sums over pairs, one by one."""
    real, generated = sample(5), sample(4, 0.5, seed=1)

    def k(a, b):
        return (a @ b / len(a) + 1.0) ** 3

    def within(x):
        pairs = [(i, j) for i in range(len(x)) for j in range(len(x)) if i != j]
        return np.mean([k(x[i], x[j]) for i, j in pairs])

    between = np.mean([k(a, b) for a in real for b in generated])
    expected = within(real) + within(generated) - 2 * between
    assert kid.unbiased(real, generated)["mean"] == pytest.approx(expected)


def test_of_one_distribution_its_mean_is_zero_and_its_interval_holds_it():
    found = [
        kid.unbiased(sample(40, seed=i), sample(40, seed=1000 + i)) for i in range(200)
    ]
    means = np.array([f["mean"] for f in found])
    assert (means < 0).any() and abs(means.mean()) < 3 * means.std() / np.sqrt(200)
    covered = np.mean([f["ci95"][0] <= 0 <= f["ci95"][1] for f in found])
    assert 0.9 <= covered <= 1.0


def test_another_distribution_is_told_apart():
    found = kid.unbiased(sample(60), sample(60, 1.0, seed=1))
    assert found["ci95"][0] > 0


def test_leaving_an_image_out_is_what_the_jackknife_does():
    real, generated = sample(6), sample(5, 0.3, seed=1)
    left_out = (
        [kid.unbiased(np.delete(real, i, 0), generated)["mean"] for i in range(6)],
        [kid.unbiased(real, np.delete(generated, i, 0))["mean"] for i in range(5)],
    )
    squares = sum(
        (len(x) - 1) / len(x) * np.sum((np.array(x) - np.mean(x)) ** 2) for x in left_out
    )
    low, high = kid.unbiased(real, generated)["ci95"]
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(squares))


def test_it_is_a_row_of_sets(vgg_weights):
    random = np.random.default_rng(0)
    images = np.stack([smooth_noise(random, 32, 32) for _ in range(12)])
    row = metrics.SET_METRICS["kid_vgg"]
    weights = metrics.locate_weights(["kid_vgg"], vgg_weights)
    alike = row.of_sets(Sets(images[:6], images[6:], weights=weights))
    dark = row.of_sets(Sets(images[:6], images[6:] // 8, weights=weights))
    assert dark["mean"] > alike["mean"] and not row.higher_is_better
    assert not row.is_usual and row.needs == ("vgg16",)
