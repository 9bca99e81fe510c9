"""Deep feature interpolation, against what must come of it."""

import numpy as np
import pytest
import tensorflow as tf

from pan_tf.papers import dfi
from tests.conftest import smooth_noise


@pytest.fixture(scope="module")
def domains():
    random = np.random.default_rng(0)
    blocks = np.stack([smooth_noise(random, 32, 32) for _ in range(24)]) // 2
    return blocks[:12], blocks[12:] + np.uint8(128)


def settings(narrow_vgg, **changes):
    given = {"neighbors": 6, "iterations": 30, "smoothness": 0.0} | changes
    return dfi.Settings("vgg16", str(narrow_vgg), **given)


def test_without_a_step_an_image_stays(domains, narrow_vgg):
    moved = dfi.Interpolation(*domains, settings(narrow_vgg, step=0.0))
    assert np.array_equal(moved.translate(domains[0][:2]), domains[0][:2])


def test_an_image_moves_towards_the_targets(domains, narrow_vgg):
    moved = dfi.Interpolation(*domains, settings(narrow_vgg))
    source = domains[0][:1]
    output = moved.translate(source)
    assert output.dtype == np.uint8 and output.shape == source.shape
    # By the features that it is moved in: nearer to the mean of the targets.
    goal = moved._mean(domains[1])

    def distance(pixels):
        phi = moved._look(pixels.astype(np.float32))
        return sum(float(np.sum((f - g) ** 2)) for f, g in zip(phi, goal, strict=True))

    assert distance(output) < 0.99 * distance(source)


def test_smoothness_takes_edges_away(domains, narrow_vgg):
    source = domains[0][:1]

    def edges(smoothness):
        changed = settings(narrow_vgg, smoothness=smoothness)
        output = dfi.Interpolation(*domains, changed).translate(source)
        return np.abs(np.diff(output.astype(int), axis=1)).sum()

    assert edges(100.0) < 0.5 * edges(0.0)


def test_neighbours_are_the_nearest(domains, narrow_vgg):
    by_features = dfi.Interpolation(*domains, settings(narrow_vgg, neighbors=3))
    key = by_features._keys[0][7]
    assert by_features._nearest(key, by_features._keys[0])[0] == 7
    known = np.eye(12, 5, dtype=int)
    by_attributes = dfi.Interpolation(
        *domains, settings(narrow_vgg, neighbors=2, by="attributes"), (known, known)
    )
    # Rows 5 and on are all zeros.
    assert list(by_attributes._nearest(known[3], known)) == [3, 5]


def test_channels_count_alike(domains, narrow_vgg):
    moved = dfi.Interpolation(*domains, settings(narrow_vgg))
    every = np.concatenate(domains).astype(np.float32)
    means = [np.mean(f, axis=(0, 1, 2)) for f in moved._look(every)]
    # One, but for the few that are held back; never more.
    assert all(np.median(m) == pytest.approx(1.0, abs=1e-3) for m in means)
    assert all(m.max() < 1.001 for m in means)


def test_what_it_ranks_by_is_checked():
    with pytest.raises(ValueError, match="--dfi_by must be one of"):
        dfi.Settings(by="likeness")


def test_a_file_without_weights_is_named(tmp_path):
    path = tmp_path / "empty.h5"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="--vgg_weights must hold"):
        dfi.Settings("vgg16", str(path)).located()


def test_features_move_by_step_times_w_over_its_mean_square(
    domains, narrow_vgg, monkeypatch
):
    moved = dfi.Interpolation(*domains, settings(narrow_vgg, neighbors=12, step=0.3))
    wanted = []

    def caught(pixels, goal):
        wanted.append(goal)
        raise StopIteration

    monkeypatch.setattr(moved, "_loss_and_gradient", caught)
    source = domains[0][:1]
    with pytest.raises(StopIteration):
        moved.translate(source)
    means = [moved._mean(domain) for domain in domains]
    w = [np.subtract(b, a) for a, b in zip(*means, strict=True)]
    square = sum((x**2).sum() for x in w) / sum(x.size for x in w)
    for goal, phi, x in zip(
        wanted[0], moved._look(source.astype("float32")), w, strict=True
    ):
        np.testing.assert_allclose(goal, phi + 0.3 * x / square, rtol=1e-3, atol=1e-3)


def test_numbers_are_the_authors():
    made = dfi.Settings()
    assert (made.vgg, made.neighbors, made.step, made.smoothness, made.iterations) == (
        "vgg19",
        100,
        0.4,
        0.001,
        500,
    )


def test_a_channel_that_seldom_answers_weighs_no_hundredfold(domains):
    """It is divided by a hundredth of its layer's mean at least."""
    means = np.array([1.0, 2.0, 0.0, 1e-5], np.float32)
    found = object.__new__(dfi.Interpolation)
    found._domains = domains
    found._network = lambda images: [tf.ones((*images.shape[:3], 1)) * means]
    (scales,) = found._find_scales()
    np.testing.assert_allclose(scales, [1.0, 2.0, 0.0075, 0.0075], rtol=1e-3)
