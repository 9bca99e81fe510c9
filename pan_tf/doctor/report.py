"""The doctor's contact sheet, as one HTML page."""

import numpy as np

from pan_tf import pages
from pan_tf.data.split import evenly
from pan_tf.doctor import alignment
from pan_tf.doctor.pairs import BrokenPairError
from pan_tf.images import PEAK
from pan_tf.pages import pictures

_MOST_SHOWN = 20
_SIDE = 256
_FEW = 6


def render(title, items, record, findings, estimates, checks):
    """Makes the page.

    Args:
        title: name of the data set.
        items: `Item`s.
        record: what doctor.json holds.
        findings: `Finding`s, the worst of each check first.
        estimates: (split, name) -> `Estimate`.
        checks: check -> (severity, what it is).

    Returns:
        HTML. The first 20 findings of each check are shown as pictures; all of them
        stand in doctor.json. Some sound pairs are shown too.
    """
    found = {(item.split, item.name): item for item in items}
    sections = []
    for check, (_, heading) in checks.items():
        several = [finding for finding in findings if finding.check == check]
        if several:
            rows = [_row(finding, found, estimates) for finding in several[:_MOST_SHOWN]]
            sections.append((heading, len(several), rows))
    context = {
        "title": title,
        "record": record,
        "checks": checks,
        "sections": sections,
        "some": _some(items, findings),
        "min_shift": alignment.MIN_SHIFT,
        "min_gain": alignment.MIN_GAIN,
    }
    return pages.render("doctor.html", context)


def _some(items, findings):
    """(name, pictures) of a few pairs of which nothing bad is known."""
    suspects = {(finding.split, finding.name) for finding in findings}
    sound = [item for item in items if (item.split, item.name) not in suspects]
    chosen = (sound[i] for i in evenly(len(sound), _FEW))
    return [(f"{i.split}/{i.name}", _pictured(_captioned(i, "AB"))) for i in chosen]


def _captioned(item, captions):
    """(caption, pixels) of A and B; nothing where they went away since they were read."""
    try:
        return list(zip(captions, item.load(), strict=True))
    except BrokenPairError:
        return []


def _row(finding, found, estimates):
    """Name, message and (caption, data URI, width) of each picture."""
    item = found.get((finding.split, finding.name))
    shown = []
    if item is not None and finding.check != "unreadable":
        shown = _captioned(item, "AB")
        if shown and finding.check == "misaligned":
            a, b = (pixels for _, pixels in shown)
            shift = estimates[finding.split, finding.name].shift
            shown += [
                ("edges of B on A", _overlay(a, b, (0, 0))),
                ("the same, B moved back", _overlay(a, b, shift)),
            ]
        if "same_as" in finding.detail:
            split, _, name = finding.detail["same_as"].partition("/")
            captions = "A of the other", "B of the other"
            shown += _captioned(found[split, name], captions)
    return f"{finding.split}/{finding.name}", finding.message, _pictured(shown)


def _pictured(shown):
    """(caption, data URI, width) of (caption, pixels)."""
    pictured = []
    for caption, pixels in shown:
        small = pictures.fitted(pixels, _SIDE)
        width = pictures.shown_width(small.shape[1])
        pictured.append((caption, pictures.data_uri(small), width))
    return pictured


def _overlay(a, b, shift):
    """A in grey, and B's strong edges in red, moved back by a shift."""
    dy, dx = (round(value) for value in shift)
    gray = a.mean(-1)
    luma = np.roll(b.astype(np.float32).mean(-1), (-dy, -dx), (0, 1))
    gy, gx = np.gradient(luma)
    strength = np.hypot(gy, gx)
    # What was rolled in from the other side is not B's.
    rows, columns = np.indices(strength.shape)
    height, width = strength.shape
    inside = (rows + dy >= 1) & (rows + dy < height - 1)
    inside &= (columns + dx >= 1) & (columns + dx < width - 1)
    edges = inside & (strength > max(np.percentile(strength, 92), 2.0))
    overlay = np.repeat(gray[..., None] * 0.8 + 40, 3, -1)
    overlay[edges] = (230, 20, 30)
    return overlay.clip(0, PEAK).astype(np.uint8)
