import numpy as np
import pytest

from pan_tf.data.layouts import bluemarble


@pytest.mark.parametrize(("size", "train", "test"), [(256, 150, 35), (128, 626, 159)])
def test_number_of_pairs(size, train, test):
    assert len(bluemarble.cut("train", size).names) == train
    assert len(bluemarble.cut("test", size).names) == test


def test_tiles_are_images_of_their_size():
    tiles = bluemarble.cut("test", 256)
    assert tiles.source.shape == tiles.target.shape == (35, 256, 256, 3)
    assert tiles.source.dtype == tiles.target.dtype == np.uint8
    assert len(set(tiles.names)) == 35


@pytest.mark.parametrize("size", [64, 256])
def test_train_and_test_share_no_pixel(size):
    columns = {"train": np.zeros(5400, bool), "test": np.zeros(5400, bool)}
    for x in range(0, 5400 - size + 1, size // 2):
        split = bluemarble._split_of(x, size)
        if split:
            columns[split][x : x + size] = True
    assert columns["test"].sum() == 1024
    assert not (columns["train"] & columns["test"]).any()


@pytest.mark.parametrize(("source", "apart"), [("bmng.jpg", 0.4), ("etopo1.jpg", 0.7)])
def test_both_sides_show_the_same_place(source, apart):
    """Edges, coasts above all, agree best where little is shifted."""
    tiles = bluemarble.cut("test", 128, source)

    def edges(images):
        grey = images.astype(float).mean(-1)
        return np.hypot(*np.gradient(grey, axis=(1, 2)))[:, 10:-10, 10:-10]

    def agreement(shift, axis):
        shifted = np.roll(tiles.target, shift, axis)
        return np.corrcoef(edges(tiles.source).ravel(), edges(shifted).ravel())[0, 1]

    for axis in (1, 2):
        shifts = np.arange(-4, 5)
        found = [agreement(shift, axis) for shift in shifts]
        best = int(np.argmax(found))
        left, middle, right = found[best - 1 : best + 2]
        peak = (left - right) / (left - 2 * middle + right) / 2
        assert abs(shifts[best] + peak) < apart


def test_both_sets_have_the_same_tiles_and_targets():
    one, other = (bluemarble.cut("test", 256, s) for s in ("bmng.jpg", "etopo1.jpg"))
    assert one.names == other.names
    np.testing.assert_array_equal(one.target, other.target)
    assert not np.array_equal(one.source, other.source)
    assert bluemarble.fingerprint() != bluemarble.fingerprint("etopo1.jpg")


def test_a_size_without_test_tiles_is_refused():
    with pytest.raises(ValueError, match="at most 512 px"):
        bluemarble.cut("test", 1024)
