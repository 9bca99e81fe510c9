"""What a folder is opened as: splits, fingerprints, mirroring, the way to size."""

import numpy as np
import pytest
from PIL import Image

from pan_tf.config import Config
from pan_tf.data import open_data
from pan_tf.data.layouts import halves
from pan_tf.data.layouts import listing


def save(path, width, height, level=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), level, np.uint8)).save(path)


def config(root, **changes):
    given = {"dataset": "folder", "data_dir": str(root), "image_size": 64}
    return Config(**given | changes)


def test_sides_that_were_exchanged_are_read_again(tmp_path):
    a, b = (tmp_path / f"train{side}" / "x.bmp" for side in "AB")
    save(a, 8, 8, 1)
    save(b, 8, 8, 2)
    (tmp_path / "trainB").rename(tmp_path / "other")
    (tmp_path / "other").rename(tmp_path / "trainB")
    known = open_data(config(tmp_path)).describe()
    save(a, 9, 8, 1)
    save(b, 9, 8, 2)
    assert open_data(config(tmp_path), verified=known).fingerprint != known["fingerprint"]


def test_a_split_that_is_called_otherwise_is_read_again(tmp_path):
    save(tmp_path / "trainA" / "x.bmp", 16, 8, 1)
    save(tmp_path / "trainB" / "x.bmp", 16, 8, 1)
    save(tmp_path / "test" / "x.bmp", 16, 8, 1)
    known = open_data(config(tmp_path)).describe()
    (tmp_path / "test").rename(tmp_path / "val")
    again = open_data(config(tmp_path), verified=known)
    assert again.fingerprint != known["fingerprint"]


def halved(folder, pixels):
    folder.mkdir()
    for i, each in enumerate(pixels):
        Image.fromarray(each).save(folder / f"{i}.png")
    return halves.suspicions(listing.side_by_side(folder))


def test_white_margins_say_nothing(tmp_path):
    smooth = np.arange(128, dtype=np.uint8)[None, :, None].repeat(64, 0).repeat(3, 2)
    white = np.full((64, 128, 3), 255, np.uint8)
    assert halved(tmp_path / "x", [white, white, smooth]) == []
    assert halved(tmp_path / "y", [white, smooth, smooth])


def test_a_file_of_one_column_is_named(tmp_path):
    save(tmp_path / "train" / "x.png", 1, 40)
    with pytest.raises(ValueError, match=r"x\.png is 1 px wide, not two halves"):
        open_data(config(tmp_path))


def test_held_out_is_test_or_else_val(tmp_path):
    save(tmp_path / "train" / "x.png", 16, 8)
    save(tmp_path / "val" / "x.png", 16, 8)
    assert open_data(config(tmp_path)).held_out.name == "val"
    save(tmp_path / "test" / "x.png", 16, 8)
    assert open_data(config(tmp_path)).held_out.name == "test"


def test_examples_are_mirrored_unless_flag_or_row_says_otherwise(tmp_path):
    save(tmp_path / "train" / "x.png", 16, 8)
    assert open_data(config(tmp_path)).flip
    assert not open_data(config(tmp_path, flip=False)).flip
    assert not open_data(Config(dataset="bluemarble", image_size=256)).flip


def test_a_load_size_scales_files_that_would_be_cropped(tmp_path):
    save(tmp_path / "train" / "x.png", 300, 100)
    save(tmp_path / "train" / "y.png", 300, 110)
    assert open_data(config(tmp_path)).geometry.preprocess == "crop"
    opened = open_data(config(tmp_path, load_size=72))
    geometry = opened.geometry
    assert (geometry.preprocess, geometry.reason) == ("scale", "--load_size is given")
