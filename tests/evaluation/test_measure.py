import numpy as np
import pytest

from pan_tf import evaluation
from pan_tf.config import METRIC_NAMES
from pan_tf.metrics import METRICS
from pan_tf.metrics.table import balanced


def test_flags_offer_exactly_the_metrics_that_are_measured():
    assert METRIC_NAMES == tuple(METRICS)


def test_balanced_is_the_mean_of_two():
    scores = {"psnr": [20.0, np.inf], "ssim": [0.5, 1], "uqi": [0.1, 1]}
    scores = {name: np.array(values, float) for name, values in scores.items()}
    assert balanced(scores) == pytest.approx([(0.4 + 0.1) / 2, 1.0])


def test_equal_images_count_as_100_db_in_a_mean():
    scores = {"psnr": np.array([np.inf, 20.0]), "ssim": np.array([1.0, 0.5])}
    assert evaluation.means(scores) == {"psnr": 60.0, "ssim": 0.75}


def test_balanced_punishes_noise_on_next_to_blank_targets_as_vifp_does_not():
    """A water tile with one pixel in a thousand a level darker."""
    random = np.random.default_rng(0)
    target = np.full((1, 256, 256, 3), 200, np.uint8)
    target[0][random.random((256, 256)) < 0.001] = 199
    found = []
    for sigma in (1, 3, 10):
        noise = random.normal(0, sigma, target.shape)
        output = np.clip(np.round(200 + noise), 0, 255).astype(np.uint8)
        scores = {
            name: metric.function(target, output).numpy()
            for name, metric in METRICS.items()
            if metric.function
        }
        found.append((scores["vifp"][0], balanced(scores)[0]))
    vifps, balances = zip(*found, strict=True)
    assert vifps[0] < 0.3 and vifps[2] > 3
    assert balances[0] > balances[1] > balances[2]
