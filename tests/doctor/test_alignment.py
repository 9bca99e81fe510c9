"""Shifts of Blue Marble's tiles: real pairs, whose two sides look different."""

import numpy as np
import pytest
import threadpoolctl

from pan_tf.data.layouts import bluemarble
from pan_tf.doctor.alignment import Aligner


def shifted(pair, dy, dx):
    """B moved by (dy, dx) against A; both cropped to what they share."""
    a, b = pair
    height, width = a.shape[:2]
    return (
        a[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)],
        b[max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)],
    )


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with threadpoolctl.threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def pairs():
    tiles = bluemarble.cut("train", 128)
    places = np.linspace(0, len(tiles.source) - 1, 26).astype(int)
    return list(zip(tiles.source[places], tiles.target[places], strict=True))


@pytest.fixture(scope="module")
def aligner(pairs):
    """Learnt from 26 pairs, of which three are shifted."""
    moved = [shifted(pair, 8, 0) for pair in pairs[:3]]
    return Aligner([*moved, *pairs[3:]])


def test_aligned_pairs_share_no_shift(aligner):
    assert np.hypot(*aligner.common_shift) < 0.7


def test_shifted_pairs_are_found_and_aligned_ones_are_not(aligner, pairs):
    found = [aligner.estimate(*shifted(pair, -6, 5)) for pair in pairs[::2]]
    assert np.mean([estimate.misaligned for estimate in found]) >= 0.9
    assert not any(aligner.estimate(*pair).misaligned for pair in pairs[::2])


@pytest.mark.parametrize("shift", [(8, 0), (0, -8), (-6, 5), (12, 12)])
def test_the_shift_says_where_b_lies(aligner, pairs, shift):
    estimates = [aligner.estimate(*shifted(pair, *shift)) for pair in pairs[1:21:4]]
    found = np.median([estimate.shift for estimate in estimates], axis=0)
    # A's content stands (dy, dx) further down and right in B.
    assert np.abs(found - np.array(shift)).max() < 1.0


def test_pairs_without_texture_are_left_alone(aligner):
    random = np.random.default_rng(0)
    sea = np.full((2, 256, 256, 3), (20, 40, 90), np.uint8)
    sea = sea + random.integers(0, 2, sea.shape, np.uint8)
    estimate = aligner.estimate(*sea)
    assert not estimate.misaligned and estimate.gain < 2


def test_a_shift_of_all_pairs_is_the_common_one(pairs):
    aligner = Aligner([shifted(pair, 5, -6) for pair in pairs[::2]])
    assert np.abs(np.subtract(aligner.common_shift, (5, -6))).max() < 1.0
    assert not aligner.estimate(*shifted(pairs[0], 5, -6)).misaligned
    assert aligner.estimate(*shifted(pairs[1], -5, 3)).misaligned
