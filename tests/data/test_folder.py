import os

import numpy as np
import pytest
from PIL import Image

from pan_tf.config import Config
from pan_tf.data import locate
from pan_tf.data import open_data
from pan_tf.data.layouts import verification


def save(path, width, height, level=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), level, np.uint8)).save(path)


def config(root, **changes):
    return Config(
        **{"dataset": "folder", "data_dir": str(root), "image_size": 64} | changes
    )


def test_side_by_side_a_is_left(tmp_path):
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, 8:] = 200
    (tmp_path / "train").mkdir()
    Image.fromarray(pixels).save(tmp_path / "train" / "x.png")
    a, b = open_data(config(tmp_path)).train.load(0)
    assert a.shape == b.shape == (8, 8, 3)
    assert (a.numpy() == 0).all() and (b.numpy() == 200).all()


def test_direction_swaps_source_and_target(tmp_path):
    save(tmp_path / "trainA" / "x.png", 8, 8, level=10)
    save(tmp_path / "trainB" / "x.png", 8, 8, level=20)
    source, target = open_data(config(tmp_path, direction="BtoA")).train.load(0)
    assert source.numpy().max() == 20 and target.numpy().max() == 10


def test_two_folders_pair_by_name_whatever_the_ending(tmp_path):
    for name, level in (("b", 1), ("a", 2)):
        save(tmp_path / "trainA" / f"{name}.png", 8, 8, level)
        save(tmp_path / "trainB" / f"{name}.bmp", 8, 8, level)
    pairs = open_data(config(tmp_path)).train
    assert pairs.source.names == ("a", "b")
    for i in range(2):
        a, b = pairs.load(i)
        assert a.numpy().max() == b.numpy().max()


def test_pairs_beside_two_folders_of_sides_are_left_alone_and_that_is_said(
    tmp_path, caplog
):
    save(tmp_path / "train" / "y.png", 8, 16)
    for side in "AB":
        save(tmp_path / f"train{side}" / "x.png", 8, 8)
    assert open_data(config(tmp_path)).train.source.names == ("x",)
    assert f"{tmp_path / 'train'} is left alone" in caplog.text


def test_one_range_is_not_looked_for_in_bits_and_floats(tmp_path):
    for side in "AB":
        save(tmp_path / f"train{side}" / "bits.png", 8, 8, 255)
        np.save(tmp_path / f"train{side}" / "real.npy", np.ones((8, 8, 3), np.float32))
    with pytest.raises(ValueError, match=r"float32 .*bits\.png and .*real\.npy"):
        open_data(config(tmp_path))


def test_8_bits_are_not_put_among_12(tmp_path):
    for side in "AB":
        save(tmp_path / f"train{side}" / "bits.png", 8, 8, 255)
        deep = np.full((8, 8, 3), 4095, np.uint16)
        np.save(tmp_path / f"train{side}" / "deep.npy", deep)
    asked = {"source_range": "0,4095", "target_range": "0,4095"}
    with pytest.raises(ValueError, match=r"uint16 from 0 to 4095.*bits\.png and .*deep"):
        open_data(config(tmp_path).replace(**asked))


def test_one_letter_written_in_two_ways_is_one_name(tmp_path):
    save(tmp_path / "trainA" / "\u00fc.png", 8, 8)
    save(tmp_path / "trainB" / "u\u0308.png", 8, 8)
    assert len(open_data(config(tmp_path)).train) == 1


def test_images_in_folders_below_are_told(tmp_path, caplog):
    for side in "AB":
        save(tmp_path / f"train{side}" / "x.png", 8, 8)
        save(tmp_path / f"train{side}" / "more" / "deep" / "y.png", 8, 8)
        (tmp_path / f"train{side}" / "notes").mkdir()
        save(tmp_path / f"train{side}" / ".cache" / "z.png", 8, 8)
    assert open_data(config(tmp_path)).train.source.names == ("x",)
    assert "trainA: folders in it are left alone: more. ***" in caplog.text
    (tmp_path / "trainA" / "x.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"left alone: more\. Put their images"):
        open_data(config(tmp_path))


@pytest.mark.parametrize("name", ["etopo1", "maps"])
def test_images_that_the_data_set_does_not_read_are_not_passed_over(name, tmp_path):
    save(tmp_path / "train" / "x.png", 64, 128)
    mine = config(tmp_path, dataset=name, download=False, fallback_dataset="bluemarble")
    with pytest.raises(ValueError, match=f"--dataset={name} does not read.*=folder"):
        locate(mine)
    assert locate(config(tmp_path)).dataset == "folder"
    elsewhere = config(tmp_path / "other", dataset="etopo1")
    assert locate(elsewhere).dataset == "etopo1"


def test_names_without_partner_are_named(tmp_path):
    save(tmp_path / "trainA" / "x.png", 8, 8)
    save(tmp_path / "trainA" / "lonely.png", 8, 8)
    save(tmp_path / "trainB" / "x.png", 8, 8)
    with pytest.raises(ValueError, match=r"Without a partner: .*lonely\.png"):
        open_data(config(tmp_path))


def test_every_unusable_file_is_named_before_training(tmp_path):
    save(tmp_path / "train" / "good.png", 16, 8)
    save(tmp_path / "train" / "odd.png", 15, 8)
    (tmp_path / "train" / "text.jpg").write_text("not an image")
    random = np.random.default_rng(0).integers(0, 256, (64, 128, 3), np.uint8)
    Image.fromarray(random).save(tmp_path / "train" / "short.jpg")
    whole = (tmp_path / "train" / "short.jpg").read_bytes()
    (tmp_path / "train" / "short.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="3 of 4 pairs cannot be used") as caught:
        open_data(config(tmp_path))
    for name in ("odd.png", "text.jpg", "short.jpg"):
        assert name in str(caught.value)


@pytest.mark.parametrize("folders", [["train"], ["trainA", "trainB"]])
def test_links_to_nothing_and_pipes_are_refused_and_not_opened(folders, tmp_path):
    for folder in folders:
        save(tmp_path / folder / "good.png", 16, 8)
        (tmp_path / folder / "lost.png").symlink_to("nowhere.png")
        os.mkfifo(tmp_path / folder / "pipe.png")
    with pytest.raises(
        ValueError, match=r"lost\.png is a link to nothing; .*pipe\.png is "
    ):
        open_data(config(tmp_path))


def test_sides_of_different_size_are_named(tmp_path):
    save(tmp_path / "trainA" / "x.png", 8, 8)
    save(tmp_path / "trainB" / "x.png", 9, 8)
    with pytest.raises(ValueError, match=r"x\.png is 8 x 8 px, but .* is 9 x 8 px"):
        open_data(config(tmp_path))


def test_an_empty_split_is_refused(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(FileNotFoundError, match="No image"):
        open_data(config(tmp_path))


def test_validation_is_val_or_else_test(tmp_path):
    save(tmp_path / "train" / "x.png", 16, 8)
    assert open_data(config(tmp_path)).validation is None
    save(tmp_path / "test" / "x.png", 16, 8)
    assert open_data(config(tmp_path)).validation.name == "test"
    save(tmp_path / "val" / "x.png", 16, 8)
    assert open_data(config(tmp_path)).validation.name == "val"


def test_files_are_decoded_again_only_if_the_listing_changed(tmp_path, monkeypatch):
    save(tmp_path / "train" / "x.png", 16, 8)
    known = open_data(config(tmp_path)).describe()
    monkeypatch.setattr(verification, "_check", lambda *files: pytest.fail("decoded"))
    again = open_data(config(tmp_path), verified=known)
    assert again.fingerprint == known["fingerprint"]


def test_fingerprint_follows_the_contents(tmp_path):
    save(tmp_path / "train" / "x.bmp", 16, 8, level=1)
    before = open_data(config(tmp_path)).fingerprint
    assert open_data(config(tmp_path)).fingerprint == before
    save(tmp_path / "train" / "x.bmp", 16, 8, level=2)
    assert open_data(config(tmp_path)).fingerprint != before
