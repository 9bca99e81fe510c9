"""Small charts as SVG text, to stand inside a page that opens without a network."""

import html
import math

import numpy as np

_WIDTH, _HEIGHT = 320, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 10, 8, 24


def histogram(values, marks):
    """Distribution of a score over the images.

    Args:
        values: finite `[n]`.
        marks: label -> value: vertical lines, in the classes mark-0, mark-1, ...

    Returns:
        SVG.
    """
    low = min(np.min(values), *marks.values())
    high = max(np.max(values), *marks.values())
    if high - low <= 1e-9 * max(1.0, abs(low), abs(high)):  # But for rounding, one value.
        low, high = low - 0.5, high + 0.5
    bins = min(30, max(5, math.ceil(math.sqrt(len(values)))))
    counts, edges = np.histogram(values, bins, (low, high))
    x, y = _across(low, high), _up(0, counts.max())
    bars = [
        f'<rect class="bar" x="{x(a):.1f}" y="{y(count):.1f}" '
        f'width="{max(x(b) - x(a) - 1, 1):.1f}" height="{y(0) - y(count):.1f}">'
        f"<title>{count} images from {a:.3g} to {b:.3g}</title></rect>"
        for a, b, count in zip(edges[:-1], edges[1:], counts, strict=True)
        if count
    ]
    lines = [
        _vertical(f"mark-{i}", x(value), f"{label}: {value:.3f}")
        for i, (label, value) in enumerate(marks.items())
    ]
    return _svg(bars + lines, _ticks(low, high, x, 3), [(counts.max(), y), (0, y)])


def curve(points, chosen=None, level=None):
    """A quantity over the iterations of a run.

    Args:
        points: list of (iteration, value), finite, in order.
        chosen: iteration to mark, or None.
        level: value of a horizontal line, or None.

    Returns:
        SVG.
    """
    iterations, values = zip(*points, strict=True)
    ends = [*values, *([] if level is None else [level])]
    low, high = min(ends), max(ends)
    low, high = (low - 0.5, high + 0.5) if high == low else (low, high)
    first, last = iterations[0], max(iterations[-1], iterations[0] + 1)
    x, y = _across(first, last), _up(low, high)
    path = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in points)
    parts = [f'<polyline class="curve" points="{path}"/>']
    if level is not None:
        parts.append(_horizontal("level", y(level), f"best baseline: {level:.3f}"))
    if len(points) <= 60:
        parts += [
            f'<circle class="point" cx="{x(i):.1f}" cy="{y(v):.1f}" r="2.5">'
            f"<title>iteration {i}: {v:.4g}</title></circle>"
            for i, v in points
        ]
    if chosen is not None and first <= chosen <= last:
        parts.append(_vertical("chosen", x(chosen), f"checkpoint: {chosen}"))
    return _svg(parts, _ticks(first, last, x, 3), [(high, y), (low, y)])


# For lines of one chart, told apart by the colour-blind too (Okabe and Ito).
_COLORS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#000000",
    "#8a8f98",
)


def curves(series, level=None):
    """A quantity of several runs over what they have seen.

    Args:
        series: list of (label, list of (place, value), finite, in order); lines of one
            label have one colour.
        level: value of a dashed horizontal line, or None.

    Returns:
        SVG with a legend.
    """
    labels = list(dict.fromkeys(label for label, _ in series))
    places = [place for _, points in series for place, _ in points]
    values = [value for _, points in series for _, value in points]
    values += [] if level is None else [level]
    low, high = min(values), max(values)
    low, high = (low - 0.5, high + 0.5) if high == low else (low, high)
    first, last = min(places), max(*places, min(places) + 1)
    x, y = _across(first, last), _up(low, high)
    parts = []
    for label, points in series:
        color = _COLORS[labels.index(label) % len(_COLORS)]
        path = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in points)
        parts.append(
            f'<polyline class="series" stroke="{color}" points="{path}">'
            f"<title>{html.escape(label)}</title></polyline>"
        )
    if level is not None:
        parts.append(_horizontal("level", y(level), f"best baseline: {level:.3f}"))
    legend = _legend("&#9644;", labels)
    if level is not None:
        legend += "<span>- - best baseline</span>"
    chart = _svg(parts, _ticks(first, last, x, 3), [(high, y), (low, y)])
    return f'{chart}<p class="key">{legend}</p>'


def plane(trails, baselines, titles, downwards):
    """Two quantities against each other, one point a checkpoint.

    Args:
        trails: list of (label, list of (name of a point, x, y)), the last point of which
            is the one that the report is about.
        baselines: list of (label, x, y).
        titles: of x and of y.
        downwards: whether a smaller y is better, and so is drawn higher.

    Returns:
        SVG with a legend.
    """
    width, height = 2 * _WIDTH, 2 * _HEIGHT
    points = [p[1:] for _, trail in trails for p in trail] + [b[1:] for b in baselines]
    (x_low, x_high), (y_low, y_high) = (
        _padded(each) for each in zip(*points, strict=True)
    )
    x = _axis(x_low, x_high, _LEFT, width - _RIGHT)
    ends = (_TOP, height - _BOTTOM)
    y = _axis(y_low, y_high, *(ends if downwards else ends[::-1]))
    parts = []
    for i, (label, trail) in enumerate(trails):
        color = _COLORS[i % len(_COLORS)]
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for _, a, b in trail[:-1])
        parts.append(f'<polyline class="series" stroke="{color}" points="{path}"/>')
        for j, (name, a, b) in enumerate(trail):
            radius = 6 if j == len(trail) - 1 else 3
            said = html.escape(f"{label}, {name}: {a:.4g}, {b:.4g}")
            parts.append(
                f'<circle fill="{color}" cx="{x(a):.1f}" cy="{y(b):.1f}" r="{radius}">'
                f"<title>{said}</title></circle>"
            )
    for label, a, b in baselines:
        end = x(a) > width / 2
        parts.append(
            f'<rect class="baseline" x="{x(a) - 4:.1f}" y="{y(b) - 4:.1f}" width="8" '
            f'height="8"/><text x="{x(a) + (-8 if end else 8):.1f}" y="{y(b) + 4:.1f}" '
            f'text-anchor="{"end" if end else "start"}">{html.escape(label)}</text>'
        )
    legend = _legend("&#9679;", [label for label, _ in trails])
    said = (
        f"Across: {titles[0]}. Up: {titles[1]}{', the smaller the higher' * downwards}. "
        "Better is up and to the right. Small points: validations in training; large "
        "ones: what is measured here; squares: baselines that are not far off."
    )
    chart = _svg(
        parts,
        _ticks(x_low, x_high, x, 5, height),
        [(y_high, y), (y_low, y)],
        (width, height),
    )
    return f'{chart}<p class="key">{legend}{html.escape(said)}</p>'


def _legend(sign, labels):
    return "".join(
        f'<span style="color: {_COLORS[i % len(_COLORS)]}">{sign} '
        f"{html.escape(label)}</span> "
        for i, label in enumerate(labels)
    )


def _padded(values):
    low, high = min(values), max(values)
    pad = 0.04 * (high - low) or 0.5
    return low - pad, high + pad


def _vertical(style, x, title):
    return _line(style, x, x, _TOP, _HEIGHT - _BOTTOM, title)


def _horizontal(style, y, title=""):
    return _line(style, _LEFT, _WIDTH - _RIGHT, y, y, title)


def _line(style, x1, x2, y1, y2, title):
    return (
        f'<line class="{style}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}">'
        f"<title>{html.escape(title)}</title></line>"
    )


def _across(low, high):
    """Value -> place from left to right."""
    return _axis(low, high, _LEFT, _WIDTH - _RIGHT)


def _up(low, high):
    """Value -> place from the bottom to the top."""
    return _axis(low, high, _HEIGHT - _BOTTOM, _TOP)


def _axis(low, high, start, end):
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def _ticks(low, high, x, count, height=_HEIGHT):
    places = np.linspace(low, high, count)
    anchors = ["start", *["middle"] * (count - 2), "end"]
    return [
        f'<text x="{x(value):.1f}" y="{height - 8}" text-anchor="{anchor}">'
        f"{_number(value)}</text>"
        for value, anchor in zip(places, anchors, strict=True)
    ]


def _svg(parts, ticks, heights, size=(_WIDTH, _HEIGHT)):
    width, height = size
    labels = [
        f'<text x="{_LEFT - 5}" y="{y(value) + 4:.1f}" text-anchor="end">'
        f"{_number(value)}</text>"
        for value, y in heights
    ]
    base = height - _BOTTOM
    axis = _line("axis", _LEFT, width - _RIGHT, base, base, "")
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img">'
        + "".join([axis, *parts, *ticks, *labels])
        + "</svg>"
    )


def _number(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
