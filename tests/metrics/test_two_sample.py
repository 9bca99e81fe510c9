"""C2ST, against what is known of its answer."""

import numpy as np
import pytest

from pan_tf import runtime
from pan_tf.metrics import two_sample_test
from pan_tf.metrics.distribution import classifier
from pan_tf.metrics.distribution import two_sample
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


def test_an_image_is_learnt_from_chooses_or_tests_and_counts_with_its_mean(monkeypatch):
    """16 of a kind: 6, 2 and 8. The first test knows nothing, the second is sure."""
    real, generated = (
        np.tile(np.arange(16, dtype=np.uint8)[:, None, None, None] + base, (1, 8, 8, 3))
        for base in np.uint8([0, 100])
    )
    seen, tested = [], []

    def train(learnt, choice, seed, *_):
        seen.append([kind[:, 0, 0, 0].tolist() for kind in (*learnt, *choice)])

        def log_odds(pixels):
            numbers = pixels[:, 0, 0, 0]
            tested.append(numbers.tolist())
            sure = np.where(numbers < 100, -50.0, 50.0)
            return sure * (seed == 2)

        return classifier.Classifier(log_odds, has_learnt=seed == 2)

    monkeypatch.setattr(two_sample, "train_classifier", train)
    found = two_sample_test(real, generated, seeds=(1, 2))
    for i, (one, other, one_choice, other_choice) in enumerate(seen):
        sizes = [len(each) for each in (one, one_choice, tested[2 * i])]
        assert sizes == [6, 2, 8]
        assert sorted(one + one_choice + tested[2 * i]) == list(range(16))
        assert sorted(other + other_choice + tested[2 * i + 1]) == list(range(100, 116))
    assert found["per_seed"] == pytest.approx([CHANCE, 0.0], abs=1e-6)
    assert found["accuracy"] == pytest.approx(0.75) and found["learnt"] == 1
    first, second = (set(tested[i] + tested[i + 1]) for i in (0, 2))
    expected = (len(first - second) + len(first & second) / 2) / len(first | second)
    assert found["cross_entropy"]["mean"] == pytest.approx(expected * CHANCE)
