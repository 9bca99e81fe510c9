import re
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pan_tf import evaluation
from pan_tf.config import METRIC_NAMES
from pan_tf.config import Config
from pan_tf.data import NATIVE
from pan_tf.data import Geometry
from pan_tf.data import Images
from pan_tf.data import Split
from pan_tf.data import open_data
from pan_tf.evaluation.measure import images_at_a_time
from pan_tf.evaluation.measure import sizes_recur
from pan_tf.evaluation.measure import usual
from pan_tf.images import ImageSpec
from pan_tf.metrics import METRICS
from pan_tf.metrics.table import balanced


def test_flags_offer_exactly_the_metrics_that_are_measured():
    assert METRIC_NAMES == tuple(METRICS)


@pytest.mark.parametrize(
    ("preprocess", "also", "expected"),
    [
        ("squash", [], None),
        ("crop", [], "a of test is measured at 16x40 px, and VIF needs 17 px"),
        ("crop", ["lpips"], "LPIPS needs 31 px"),
    ],
)
def test_an_image_that_a_metric_cannot_measure_is_seen_beforehand(
    preprocess, also, expected, tmp_path
):
    for split, size in (("train", (64, 64)), ("test", (16, 40))):
        for side in "AB":
            folder = tmp_path / f"{split}{side}"
            folder.mkdir()
            Image.fromarray(np.zeros((*size, 3), np.uint8)).save(folder / "a.png")
    config = Config(
        dataset="folder", data_dir=str(tmp_path), image_size=64, preprocess=preprocess
    )
    opened = open_data(config)
    problem = evaluation.too_small(opened.held_out, opened.geometry, also)
    assert problem is expected is None or re.search(expected, problem)
    assert evaluation.too_small(opened.train, NATIVE) is None


def test_rows_are_measured_with_what_is_made_of_them(tmp_path):
    random = np.random.default_rng(0)
    for side in ("trainA", "trainB", "testA", "testB"):
        (tmp_path / side).mkdir()
        for name in "ab":
            pixels = random.integers(0, 256, (64, 64, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / side / f"{name}.png")
    opened = open_data(Config(dataset="folder", data_dir=str(tmp_path), image_size=64))

    def measured(names):
        return evaluation.measure(
            lambda x: tf.cast(tf.round((x + 1.0) * 127.5), tf.uint8),
            opened.held_out,
            opened.geometry,
            names=names,
        )

    parts, found = measured(["psnr", "uqi"]), measured(["balanced"])
    assert list(found) == ["balanced"] and len(found["balanced"]) == 2
    np.testing.assert_array_equal(found["balanced"], balanced(parts))


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


def of_sizes(*sizes):
    """Pairs of which headers tell these heights and widths."""
    names = tuple("abcdefgh"[: len(sizes)])
    read_sizes = lambda places: np.array(sizes)[places]  # noqa: E731
    return Split.of_pairs("test", names, lambda i: None, read_sizes)


def test_the_image_with_the_shortest_side_is_looked_at():
    said = evaluation.too_small(of_sizes((30, 30), (16, 400)), NATIVE)
    assert said.startswith("b of test is measured at")


def test_an_image_of_just_the_least_size_is_measured():
    assert evaluation.too_small(of_sizes((17, 17)), NATIVE) is None
    assert evaluation.too_small(of_sizes((17, 16)), NATIVE) is not None


def test_an_image_that_memory_does_not_hold_is_named(monkeypatch):
    pairs, thin = of_sizes((30, 30), (1, 2000)), Geometry("scale", 256)
    module = sys.modules["pan_tf.evaluation.measure"]
    monkeypatch.setattr(module, "available_bytes", lambda: 2**33)
    said = (
        r"b of test is measured at 256x512000 px, which takes 8\.8 GiB .* 8\.0 are free"
    )
    assert re.match(said, evaluation.unmeasurable(pairs, thin))
    assert evaluation.unmeasurable(of_sizes((30, 30)), thin) is None
    monkeypatch.setattr(module, "available_bytes", lambda: None)
    assert evaluation.unmeasurable(pairs, thin) is None


def lists(source=3, target=3):
    sides = (
        Images(("a",), lambda i: None, spec=ImageSpec(channels))
        for channels in (source, target)
    )
    return Split("test", *sides)


@pytest.mark.parametrize(
    ("split", "has_inverse", "names"),
    [
        (lists(), True, ["source_psnr", "cycle_psnr", "identity_psnr"]),
        (lists(), False, ["source_psnr", "identity_psnr"]),
        (lists(1, 3), True, ["source_psnr", "cycle_psnr"]),
        (lists(5, 3), True, ["cycle_psnr"]),
    ],
)
def test_what_is_kept_is_measured_where_it_can_be_compared(split, has_inverse, names):
    assert usual(split, has_inverse) == names


def test_comparisons_are_traced_where_sizes_recur():
    assert sizes_recur(of_sizes(*[(30, 40)] * 3), NATIVE)
    assert not sizes_recur(of_sizes((30, 40), (31, 40), (32, 40)), NATIVE)


@pytest.mark.parametrize(("size", "count"), [(64, 16), (256, 16), (512, 4), (2048, 1)])
def test_a_million_pixels_are_measured_at_a_time(size, count):
    assert images_at_a_time(size) == count
