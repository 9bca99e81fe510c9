import base64
import io
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from pan_tf.pages import charts
from pan_tf.pages import pictures


def test_error_map_is_black_without_error_and_lightest_at_full_error():
    image = np.full((4, 6, 3), 100, np.uint8)
    assert not pictures.error_map(image, image).any()
    far = pictures.error_map(image, image + np.uint8(pictures.FULL_ERROR))
    assert (far == (252, 255, 225)).all()
    assert (pictures.error_map(image, image + np.uint8(155)) == far).all()


def test_error_map_rises_in_lightness():
    ramp = pictures.colors(np.linspace(0, 1, 64)).astype(int).sum(-1)
    assert (np.diff(ramp) >= 0).all()


def test_error_does_not_wrap_around():
    dark, light = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 20, np.uint8)
    both = pictures.error_map(dark, light), pictures.error_map(light, dark)
    assert (both[0] == both[1]).all()


def test_pictures_in_a_page_are_lossless():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    encoded = pictures.data_uri(pixels).partition(",")[2]
    image = Image.open(io.BytesIO(base64.b64decode(encoded)))
    assert (np.asarray(image.convert("RGB")) == pixels).all()


def test_images_are_shown_at_whole_multiples():
    assert [pictures.shown_width(w) for w in (64, 128, 256, 512)] == [256, 256, 256, 512]


def test_histogram_counts_every_image_once():
    values = np.random.default_rng(0).normal(size=120)
    svg = ElementTree.fromstring(charts.histogram(values, {"mean": 0.0, "a <b>": 9.0}))
    titles = [rect.find("title").text for rect in svg.iter("rect")]
    assert sum(int(title.split()[0]) for title in titles) == 120
    assert "a <b>: 9.000" in [line.findtext("title") for line in svg.iter("line")]


def test_equal_values_make_a_chart_too():
    for value in (1.0, 0.1):  # The mean of three times .1 is another number.
        values = np.full(3, value)
        ElementTree.fromstring(charts.histogram(values, {"mean": values.mean()}))
    ElementTree.fromstring(charts.curve([(100, 2.0)], chosen=100, level=2.0))


def test_curve_marks_the_chosen_iteration():
    svg = ElementTree.fromstring(charts.curve([(100, 1.0), (300, 2.0)], chosen=200))
    (line,) = (e for e in svg.iter("line") if e.get("class") == "chosen")
    ends = [float(p.split(",")[0]) for p in svg.find("polyline").get("points").split()]
    assert float(line.get("x1")) == sum(ends) / 2
