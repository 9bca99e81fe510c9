import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from pan_tf import evaluation
from pan_tf import images
from pan_tf.data import Geometry
from pan_tf.data import OpenedData
from pan_tf.data import Split
from pan_tf.data.synthesis import SYNTHESES
from pan_tf.evaluation import baselines


def pair_set(sources, targets, split="train"):
    sources, targets = tf.constant(sources), tf.constant(targets)
    names = tuple(map(str, range(len(sources))))
    return Split.of_pairs(split, names, lambda i: (sources[i], targets[i]))


@pytest.fixture
def data():
    """Targets are the sources' negatives, in four flat colours."""
    colors = np.array([[0, 0, 0], [80, 0, 0], [0, 160, 0], [240, 240, 240]], np.uint8)
    sources = np.tile(colors[:, None, None], (1, 64, 64, 1))
    train = pair_set(sources, 255 - sources)
    validation = pair_set(sources[:2], 255 - sources[:2], "val")
    splits = {"train": train, "val": validation}
    return OpenedData("x", "x", "AtoB", True, splits, "f", Geometry("squash", 64))


def test_color_table_learns_a_map_of_colors(data):
    floors = evaluation.measure_baselines(data.train, data.validation, 64)
    assert np.isinf(floors["color_table"]["psnr"]).all()
    assert floors["color_table"]["ssim"] == pytest.approx(1.0)


def test_mean_color_is_the_mean_of_the_training_targets(data):
    mean, _ = baselines.fit(data.train, 64)
    assert np.allclose(mean, [255 - 80, 255 - 100, 255 - 60])


def test_unseen_colors_get_the_mean(data):
    mean, table = baselines.fit(data.train, 64)
    assert np.allclose(table[5], mean)


def test_copy_input_is_the_source(data):
    floors = evaluation.measure_baselines(data.train, data.validation, 64)
    # Black against white, and (80, 0, 0) against its negative.
    y = 80 * 0.299
    expected = np.mean([0.0, 20 * np.log10(255 / (255 - 2 * y))])
    assert floors["copy_input"]["psnr"].mean() == pytest.approx(expected, abs=0.02)


def test_measure_scores_every_pair_whatever_the_batch(data):
    translate = baselines.images.to_uint8
    few = evaluation.measure(translate, data.train, 64, batch_size=3)
    all_at_once = evaluation.measure(translate, data.train, 64, batch_size=4)
    assert few["ssim"].shape == (4,)
    assert np.allclose(few["ssim"], all_at_once["ssim"])


def test_where_the_centre_is_missing_floors_fill_it_alone(data):
    train = dataclasses.replace(data.train, synthesize=SYNTHESES["hole"])
    source = tf.random.stateless_uniform((2, 64, 64, 3), (0, 1), -1, 1)
    hole = np.broadcast_to(images.central_mask(64), source.shape)
    fitted = mean, _ = baselines.fit(train, 64)
    for name, translate in baselines.translations(train, 64, fitted).items():
        output = np.array(translate(source))
        np.testing.assert_array_equal(output[~hole], images.to_uint8(source)[~hole])
        if name == "mean_color":
            expected = np.broadcast_to(np.round(mean), output.shape)
            np.testing.assert_array_equal(output[hole], expected[hole])


def test_colours_of_baselines_are_rounded(data):
    """174.6 becomes 175."""
    mean, table = baselines.fit(data.train, 64)
    found = baselines.translations(data.train, 64, (mean - 0.4, table - 0.4))
    source = images.to_float(data.train.load(1)[0])[None]
    assert np.array(found["mean_color"](source))[0, 0, 0].tolist() == [175, 155, 195]
    assert np.array(found["color_table"](source))[0, 0, 0].tolist() == [175, 255, 255]
