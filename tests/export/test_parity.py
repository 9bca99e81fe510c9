"""What parity sees, and what it must not overlook."""

import io
import types

import numpy as np
import pytest
from PIL import Image

from pan_tf.export import parity
from pan_tf.images import ImageSpec


def outputs_of(value):
    """A translator whose float output is always the same array."""
    array = types.SimpleNamespace(numpy=lambda: np.float32(value))
    return types.SimpleNamespace(translate_float=lambda _: array)


@pytest.mark.parametrize(
    ("ours", "theirs", "gap"),
    [
        ([0.0, 0.5], [0.0, 0.25], 0.25),
        ([0.0, 0.5], [0.0, np.nan], np.inf),
        ([np.nan, np.nan], [np.nan, np.nan], np.inf),
        ([0.0, np.inf], [0.0, np.inf], np.inf),
        ([0.0], [0.0, 0.0], np.inf),
    ],
)
def test_the_largest_difference(ours, theirs, gap):
    same = ("float_image", np.float32([[1.0]]))
    report = parity.compare(
        outputs_of(ours), [same, same], [np.float32(theirs), np.float32(ours)]
    )
    row = report["float_image"]
    assert row["largest_difference"] == gap and row["images"] == 2
    assert not parity.holds(report)


@pytest.mark.parametrize(
    ("factor", "gap", "holds"),
    [
        (1, 2e-5, False),
        (300, 2e-5, True),  # A last bit of 1 is 1.2e-7.
        (300, 1e-4, False),
        (1e5, 0.9e-3, True),
        (1e5, 2e-3, False),
    ],
)
def test_a_t_that_makes_much_of_a_last_bit_may_differ_as_much(factor, gap, holds):
    def translate(value):
        return types.SimpleNamespace(numpy=lambda: np.float32(factor) * (value - 1))

    translator = types.SimpleNamespace(translate_float=translate)
    value = np.ones((1, 2, 2, 3), np.float32)
    report = parity.compare(
        translator, [("float_image", value)], [np.full_like(value, gap)]
    )
    assert parity.holds(report) == holds
    assert report["float_image"]["largest_difference"] == pytest.approx(gap)
    assert 1e-5 <= report["float_image"]["limit"] <= 1e-3


def test_no_request_holds_more_than_it_may():
    sources = np.zeros((8, 64, 64, 3), np.uint8)
    for at_once in (1, 3, 8, 100):
        sent = parity.requests(sources, at_once * 64**2, lambda *size: 64**2)
        assert max(len(value) for _, value in sent) <= at_once
        files = sum(len(value) for name, value in sent if name == "serving_default")
        assert files == 11


@pytest.mark.parametrize(
    ("dtype", "by", "holds"),
    [
        ("uint8", 1, True),
        ("uint8", 2, False),
        ("uint16", 257, True),
        ("uint16", 258, False),
    ],
)
def test_pixels_may_differ_by_one_level_of_255(dtype, by, holds):
    pixels = np.full((1, 2, 2, 3), 100, dtype)
    other = pixels.copy()
    other[0, 1, 1, 2] += by
    report = parity.compare(lambda value: value, [("image", pixels)], [other])
    assert parity.holds(report) == holds
    levels = by / (257 if dtype == "uint16" else 1)
    assert report["image"]["largest_difference"] == pytest.approx(levels)


def test_one_file_is_a_jpeg_that_asks_to_be_turned():
    sources = np.zeros((2, 64, 64, 3), np.uint8)
    sent = parity.requests(sources, 64**2, lambda *size: 64**2)
    files = [Image.open(io.BytesIO(v[0])) for k, v in sent if k == "serving_default"]
    turned = [file for file in files if file.format == "JPEG"]
    assert [file.getexif()[274] for file in turned] == [6]


def test_no_request_is_larger_than_the_limit():
    sources = np.zeros((2, 64, 64, 1), np.uint8)

    def cost(height, width):
        return 64**2 if (height, width) == (64, 64) else 2**20

    sent = parity.requests(sources, 64**2, cost)
    assert {v.shape[1:3] for k, v in sent if k != "serving_default"} == {(64, 64)}


@pytest.mark.parametrize(
    "spec", [ImageSpec(5, labels=5), ImageSpec(1, 8, low=0, high=4095, kind="uint16")]
)
def test_no_jpeg_is_sent_to_who_takes_none(spec):
    sent = parity.requests(
        np.zeros((1, 64, 64, 1), np.uint8), 64**2, lambda *size: 64**2, spec
    )
    files = [v[0] for k, v in sent if k == "serving_default"]
    assert files and all(file.startswith(b"\x89PNG") for file in files)
