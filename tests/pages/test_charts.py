import re

from pan_tf.pages import charts


def places(svg, tag, x, y):
    found = re.findall(rf'<{tag}[^>]* {x}="([\d.]+)" {y}="([\d.]+)"', svg)
    return [tuple(map(float, place)) for place in found]


def test_better_is_up_and_to_the_right_whichever_value_is_better():
    trail = [("a", [("iteration 1", 20.0, 0.5), ("measured here", 25.0, 0.2)])]
    for downwards in (True, False):
        svg = charts.plane(trail, [], ("PSNR", "distance"), downwards)
        (x1, y1), (x2, y2) = places(svg, "circle", "cx", "cy")
        assert x2 > x1 and (y2 < y1) == downwards
    assert "the smaller the higher" not in svg


def test_names_are_escaped_and_baselines_are_squares():
    svg = charts.plane([("<a>", [("b", 1.0, 2.0)])], [("c & d", 3.0, 4.0)], "xy", True)
    assert "<a>" not in svg and "&lt;a&gt;, b: 1, 2" in svg and "c &amp; d" in svg
    assert len(places(svg, "rect", "x", "y")) == 1
