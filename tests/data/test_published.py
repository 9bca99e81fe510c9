"""Data sets that are used as they were published."""

import numpy as np
import pytest
from PIL import Image

from pan_tf.config import Config
from pan_tf.data import DatasetNotFoundError
from pan_tf.data import locate
from pan_tf.data import open_data


def save(path, level, width=32):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((32, width, 3), level, np.uint8)).save(path)


def config(name, data_dir):
    return Config(dataset=name, data_dir=str(data_dir), image_size=64)


def test_rain800_is_clean_left_and_rainy_right(tmp_path):
    for split in ("training", "test_syn"):
        path = tmp_path / "rain" / split / "1.png"
        save(path, 10, width=64)
        pixels = np.array(Image.open(path))
        pixels[:, 32:] = 200
        Image.fromarray(pixels).save(path)
    opened = open_data(locate(config("rain800", tmp_path)))
    assert set(opened.splits) == {"train", "test"}
    source, target = opened.train.load(0)
    assert (np.array(source) == 200).all() and (np.array(target) == 10).all()


@pytest.mark.parametrize(
    ("name", "density", "train", "test"),
    [
        ("rain100l", "Light", "rain", "rain/X2"),
        ("rain100h", "Heavy", "rain/X2", "rain"),
    ],
)
def test_rain100_pairs_by_number(tmp_path, name, density, train, test):
    for split, rain, numbers in (
        ("train", train, ("1", "10", "2")),
        ("test", test, ("001", "002")),
    ):
        root = tmp_path / f"rain_data_{split}_{density}"
        for i, number in enumerate(numbers):
            save(root / rain / f"norain-{number}x2.png", 100 + i)
            save(root / "norain" / f"norain-{number}.png", i)
    opened = open_data(locate(config(name, tmp_path)))
    assert (len(opened.train), len(opened.held_out)) == (3, 2)
    for i in range(3):
        source, target = (np.array(side)[0, 0, 0] for side in opened.train.load(i))
        assert source == target + 100


def test_a_pair_without_a_partner_is_named(tmp_path):
    root = tmp_path / "rain_data_train_Light"
    save(root / "rain" / "norain-1x2.png", 0)
    save(root / "norain" / "norain-1.png", 0)
    save(root / "norain" / "norain-7.png", 0)
    with pytest.raises(ValueError, match=r"norain-7\.png"):
        open_data(config("rain100l", tmp_path))


@pytest.mark.parametrize("name", ["rain800", "rain100h", "photos"])
def test_what_is_not_there_is_told_with_its_place(tmp_path, name):
    with pytest.raises(DatasetNotFoundError, match="train") as error:
        locate(config(name, tmp_path).replace(synthesize="snow"))
    assert str(tmp_path) in str(error.value)
