import numpy as np
import pytest

from pan_tf import evaluation
from pan_tf.config import METRIC_NAMES
from pan_tf.evaluation.measure import METRICS
from pan_tf.evaluation.measure import balanced


def test_flags_offer_exactly_the_metrics_that_are_measured():
    assert METRIC_NAMES == ("balanced", *METRICS)


def test_balanced_is_the_mean_of_two():
    scores = {"psnr": [20.0, np.inf], "ssim": [0.5, 1], "uqi": [0.1, 1]}
    scores = {name: np.array(values, float) for name, values in scores.items()}
    assert balanced(scores) == pytest.approx([(0.4 + 0.1) / 2, 1.0])


def test_equal_images_count_as_100_db_in_a_mean():
    scores = {"psnr": np.array([np.inf, 20.0]), "ssim": np.array([1.0, 0.5])}
    assert evaluation.means(scores) == {"psnr": 60.0, "ssim": 0.75}
