import io

import numpy as np
import pytest
from PIL import Image

from pan_tf.data.layouts import bluemarble
from pan_tf.doctor import duplicates


@pytest.fixture(scope="module")
def pairs():
    tiles = bluemarble.cut("test", 128)
    return list(zip(tiles.source[:60], tiles.target[:60], strict=True))


def portraits(pairs):
    return [duplicates.portrait(*pair) for pair in pairs]


def jpeg(pixels, quality=60):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="jpeg", quality=quality)
    return np.asarray(Image.open(buffer))


def larger(pixels):
    size = (pixels.shape[1] * 3 // 2, pixels.shape[0] * 3 // 2)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def test_different_tiles_are_not_the_same(pairs):
    assert duplicates.same(portraits(pairs)) == []


@pytest.mark.parametrize("change", [np.copy, jpeg, larger])
def test_copies_are_the_same_also_compressed_or_scaled(pairs, change):
    copies = [tuple(change(side) for side in pair) for pair in pairs[:20]]
    found = duplicates.same(portraits([*pairs, *copies]))
    assert found == [[i, len(pairs) + i] for i in range(20)]


def test_blank_pairs_are_the_same_only_to_the_pixel():
    blank = np.full((64, 64, 3), 200, np.uint8)
    other = blank.copy()
    other[3, 5] += 1
    found = duplicates.same(portraits([(blank, blank), (other, blank), (blank, blank)]))
    assert found == [[0, 2]]


def test_equal_sources_with_other_targets_are_no_copies(pairs):
    mixed = [pairs[0], (pairs[0][0], pairs[7][1])]
    assert duplicates.same(portraits(mixed)) == []


def test_swapped_pairs_are_found_and_no_others(pairs):
    mixed = [pair[::-1] if i in (4, 17, 33) else pair for i, pair in enumerate(pairs)]
    assert sorted(duplicates.swapped(portraits(mixed))) == [4, 17, 33]
    assert duplicates.swapped(portraits(pairs)) == []


def test_sides_that_look_alike_cannot_be_told(pairs):
    alike = [(a, np.roll(a, 40, 0)) for a, _ in pairs]
    assert duplicates.swapped(portraits(alike)) is None
    assert duplicates.swapped(portraits(pairs[:9])) is None


def test_constant_sides_are_named(pairs):
    a, b = pairs[0]
    assert duplicates.portrait(a, b).constant == ()
    assert duplicates.portrait(a, np.full_like(b, 7)).constant == ("B",)


@pytest.mark.parametrize(("noise", "is_same"), [(2.0, True), (5.0, False)])
def test_faint_pairs_may_differ_by_the_noise_of_a_file(noise, is_same):
    """Twelve hundredths of a contrast of a few levels would be less than that."""
    ramp = np.linspace(96.0, 108.0, 64)
    faint = np.broadcast_to(ramp[:, None, None], (64, 64, 3))
    steps = np.where(np.indices((4, 4)).sum(0) % 2, noise, -noise).repeat(16, 0)
    other = faint + steps.repeat(16, 1)[..., None]
    pairs = [
        duplicates.portrait(*(each.astype(np.uint8),) * 2) for each in (faint, other)
    ]
    assert duplicates._alike(*pairs) == is_same
