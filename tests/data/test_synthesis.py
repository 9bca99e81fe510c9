import numpy as np
import pytest
import tensorflow as tf

from pan_tf import images
from pan_tf.config import Config
from pan_tf.data import evaluation_dataset
from pan_tf.data import open_data
from pan_tf.data import synthesis
from pan_tf.data import training_dataset

SIZE = 64


def seed(n):
    return tf.constant([1, n], tf.int64)


def photo(level=-0.5):
    return tf.fill((SIZE, SIZE, 3), level)


@pytest.mark.parametrize("name", ["rain", "snow"])
def test_what_falls_is_light_and_covers_a_part(name):
    fall = synthesis.SYNTHESES[name]
    for n in range(4):
        added = np.array(fall(photo(), seed(n)) - photo())
        assert added.min() >= -1e-6 and added.max() > 0.1
        assert 0.01 < (added.max(-1) > 0.05).mean() < 0.8
        np.testing.assert_allclose(added[..., 0], added[..., 2], atol=1e-6)


@pytest.mark.parametrize("name", ["rain", "snow"])
def test_it_is_a_function_of_the_seed(name):
    fall = tf.function(synthesis.SYNTHESES[name])
    one, same, other = (np.array(fall(photo(), seed(n))) for n in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1


def test_white_stays_white():
    np.testing.assert_allclose(synthesis.rain(photo(1.0), seed(0)), 1.0)


def test_rain_falls_down_and_not_always_the_same_way():
    """Streaks are longer than wide, along directions that differ."""
    angles = []
    for n in range(8):
        light = np.array(synthesis.rain(photo(-1.0), seed(n)))[..., 0]
        dy, dx = np.gradient(light)
        # The structure tensor's weak direction is along the streaks.
        tensor = np.array([[(dx * dx).sum(), (dx * dy).sum()]] * 2)
        tensor[1] = (dx * dy).sum(), (dy * dy).sum()
        values, vectors = np.linalg.eigh(tensor)
        assert values[1] > 1.5 * values[0]
        x, y = vectors[:, 0]
        angles.append(np.degrees(np.arctan(x / y)))
    assert max(np.abs(angles)) < 40 and np.ptp(angles) > 10


def test_streak_of_no_angle_is_a_vertical_line():
    kernel = np.array(synthesis._streak(64, 8.0, 0.5, 0.0, longest=0.5))[..., 0, 0]
    middle = len(kernel) // 2
    assert kernel[middle, middle] == kernel[middle - 4, middle] == 1.0
    assert kernel[middle - 7, middle] < 0.01 and kernel[middle, middle + 2] < 0.01


def test_hole_is_context_encoders_at_128_px():
    image = tf.random.stateless_uniform((128, 128, 3), (0, 1), -1, 1)
    pixels = np.array(images.to_uint8(synthesis.hole(image, seed(0))))
    hole = (pixels == images.HOLE_COLOR).all(-1)
    rows, columns = np.nonzero(hole)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (36, 91, 36, 91)
    assert hole.sum() == 56 * 56
    assert images.central_mask(128, overlap=True).sum() == 64 * 64


@pytest.fixture
def photos(tmp_path):
    from PIL import Image

    random = np.random.default_rng(0)
    for split, count in (("train", 3), ("test", 3)):
        (tmp_path / split).mkdir()
        for i in range(count):
            pixels = random.integers(0, 256, (70, 71, 3), np.uint8)  # Of odd width.
            Image.fromarray(pixels).save(tmp_path / split / f"{i}.png")
    return Config(
        dataset="photos", data_dir=str(tmp_path), image_size=64, synthesize="rain"
    )


def first(dataset):
    return {name: np.array(value) for name, value in next(iter(dataset)).items()}


def test_photos_become_pairs(photos):
    opened = open_data(photos)
    assert (len(opened.train), len(opened.held_out)) == (3, 3)
    assert opened.describe()["synthesized"] == "rain"
    batch = first(evaluation_dataset(opened.held_out, geometry=64, batch_size=3))
    again = first(evaluation_dataset(opened.held_out, geometry=64, batch_size=3))
    np.testing.assert_array_equal(batch["source"], again["source"])
    rain = batch["source"] - batch["target"]
    assert rain.min() >= -1e-6 and (rain.max(axis=(1, 2, 3)) > 0.1).all()
    one = opened.held_out.subset([2])
    alone = first(evaluation_dataset(one, geometry=64, batch_size=1))
    np.testing.assert_array_equal(alone["source"][0], batch["source"][2])


def test_training_rain_is_new_in_every_epoch_and_the_same_after_resuming(photos):
    train = open_data(photos).train.subset([0])
    settings = {"geometry": 64, "augmentations": (), "seed": 5}
    settings |= {"batch_size": 1, "minibatches": 1}
    straight = iter(training_dataset(train, **settings))
    sources = [np.array(next(straight)["source"]) for _ in range(3)]
    assert np.abs(sources[0] - sources[1]).max() > 0.1
    resumed = first(training_dataset(train, first_iteration=2, **settings))
    np.testing.assert_array_equal(resumed["source"], sources[2])


def test_photos_without_a_synthesis_are_refused(photos):
    with pytest.raises(ValueError, match="--synthesize"):
        open_data(photos.replace(synthesize="none"))


def test_held_out_rain_is_not_that_of_training_whatever_its_seed(photos):
    one = open_data(photos).train.subset([0])
    held_out = first(evaluation_dataset(one, geometry=64, batch_size=1))["source"][0]
    for seed in (0, 1):
        settings = {"augmentations": (), "batch_size": 1, "minibatches": 1, "seed": seed}
        trained = first(training_dataset(one, geometry=64, **settings))["source"][0, 0]
        assert np.abs(held_out - trained).max() > 0.1


def test_draws_of_one_example_are_apart_from_those_of_the_next():
    """The crop draws with (seed, n) itself, an augmentation with both one higher."""
    draws = [synthesis._Draws(seed(n)) for n in range(4)]
    seeds = {tuple(each._next().numpy()) for each in draws for _ in range(3)}
    assert len(seeds) == 12 and not seeds & {(1, n) for n in range(20)}
