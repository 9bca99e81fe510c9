"""C2ST, against what is known of its answer."""

import numpy as np
import pytest

from pan_tf import runtime
from pan_tf.metrics import two_sample_test
from pan_tf.metrics.distribution import classifier
from pan_tf.metrics.distribution.classifier import CHANCE
from pan_tf.metrics.distribution.classifier import log_loss
from pan_tf.metrics.distribution.classifier import train_classifier
from tests.conftest import smooth_noise


def blocks(count, seed):
    random = np.random.default_rng(seed)
    return np.stack([smooth_noise(random, 32, 32) for _ in range(count)])


def test_images_of_one_kind_cannot_be_told_apart():
    result = two_sample_test(blocks(48, 0), blocks(48, 1), seeds=(1, 2, 3), epochs=8)
    low, high = result["cross_entropy"]["ci95"]
    assert low - 0.05 < CHANCE < high + 0.05
    assert 0.35 < result["accuracy"] < 0.65
    assert result["n"] == 48 and len(result["per_seed"]) == 3


def test_noise_is_told_from_images():
    noise = np.random.default_rng(2).integers(0, 256, (40, 32, 32, 3), np.uint8)
    result = two_sample_test(blocks(48, 0), noise, seeds=(1,), epochs=30)
    assert result["cross_entropy"]["mean"] < 0.05
    assert result["accuracy"] > 0.97 and result["n"] == 40


def test_a_seed_gives_one_answer():
    settings = {"seeds": (1,), "epochs": 2}
    one, other = (
        two_sample_test(blocks(16, 0), blocks(16, 1), **settings) for _ in range(2)
    )
    assert one == other


@pytest.mark.parametrize(("count", "size"), [(7, 32), (16, 64)])
def test_too_few_images_and_other_sizes_are_refused(count, size):
    other = np.zeros((count, size, size, 3), np.uint8)
    with pytest.raises(ValueError, match="8 images or more of either kind and of one"):
        two_sample_test(blocks(16, 0), other)


def test_what_was_trained_before_changes_nothing():
    found = []
    for policy in ("float32", "mixed_float16", "mixed_bfloat16"):
        classifier._compiled.cache_clear()
        with runtime.under_policy(policy):
            kinds = blocks(16, 0), blocks(16, 1)
            found.append(two_sample_test(*kinds, seeds=(1,), epochs=2))
    assert found[0] == found[1] == found[2]


def test_a_classifier_keeps_what_it_learnt():
    """All seeds share one traced network; none of them its weights."""
    dark, bright = blocks(16, 0) // 2, blocks(16, 1) // 2 + np.uint8(128)
    first = train_classifier((dark, bright), (dark, bright), seed=1, epochs=6)
    before = first(bright)
    train_classifier((bright, dark), (bright, dark), seed=1, epochs=6)
    assert np.array_equal(first(bright), before)
    assert log_loss(before, 1).mean() < CHANCE
