"""Sets without pairs: two lists of images."""

import hashlib
import io
import itertools
import types
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pan_tf.config import Config
from pan_tf.data import DATASETS
from pan_tf.data import DatasetNotFoundError
from pan_tf.data import Geometry
from pan_tf.data import Images
from pan_tf.data import NoPairsError
from pan_tf.data import Split
from pan_tf.data import evaluation_dataset
from pan_tf.data import locate
from pan_tf.data import open_data
from pan_tf.data import training_dataset
from pan_tf.data.layouts import archives
from pan_tf.data.layouts import tfds as layout
from pan_tf.images import ImageSpec

SPECS = ImageSpec(), ImageSpec()


def save(path, level, size=64):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size, size, 3), level, np.uint8)).save(path)


@pytest.fixture
def lists(tmp_path):
    """3 As of levels 0 to 2 and 5 Bs of levels 100 to 104; one and two to test."""
    for split, counts in (("train", (3, 5)), ("test", (1, 2))):
        for side, count, base in zip("AB", counts, (0, 100), strict=True):
            for i in range(count):
                save(tmp_path / f"{split}{side}" / f"{side}{i}.png", base + i)
    return tmp_path


def opened(root, **changes):
    settings = {"dataset": "folder", "data_dir": str(root), "recipe": "cyclegan"}
    config = locate(Config(**settings | changes))
    return open_data(config, paired=False)


def drawn(sets, count, **changes):
    """Levels of sources and of targets, one an example."""
    geometry = Geometry("squash", 8, changes.pop("load_size", 8))
    settings = {"geometry": geometry, "augmentations": (), "seed": 3}
    stream = training_dataset(sets, batch_size=1, minibatches=1, **(settings | changes))
    batches = list(itertools.islice(stream, count))
    return [
        [round(float(b[name][0, 0, 0, 0, 0] + 1) * 127.5) for b in batches]
        for name in ("source", "target")
    ]


def test_two_folders_are_two_lists_whatever_their_names(lists):
    found = opened(lists)
    assert (len(found.train.source), len(found.train.target)) == (3, 5)
    assert len(found.train) == 5 and found.validation.name == "test"
    record = found.describe()
    assert record["train"] == {"split": "train", "sources": 3, "targets": 5}


def test_direction_swaps_the_lists(lists):
    found = opened(lists, direction="BtoA")
    assert (len(found.train.source), len(found.train.target)) == (5, 3)


def test_each_list_is_shuffled_for_itself(lists):
    sources, targets = drawn(opened(lists).train, 30)
    for levels, size, base in ((sources, 3, 0), (targets, 5, 100)):
        epochs = np.reshape(levels, (-1, size))
        assert all(sorted(epoch) == list(range(base, base + size)) for epoch in epochs)
        assert len({tuple(epoch) for epoch in epochs}) > 1
    assert len(set(zip(sources, targets, strict=True))) > 8  # Of 15 meetings.


def test_lists_of_one_length_are_not_shuffled_alike():
    """Else the true partners of pairs that were taken apart would always meet."""
    side = Images(tuple("abcdef"), lambda i: tf.fill((8, 8, 3), tf.cast(i, tf.uint8)))
    sources, targets = drawn(Split("train", side, side), 30)
    assert len(set(zip(sources, targets, strict=True))) > 12  # 6 if shuffled alike.


def test_resumed_lists_go_on_where_the_straight_ones_were(lists):
    sets = opened(lists).train
    whole = drawn(sets, 12)
    rest = drawn(sets, 5, first_iteration=7)
    assert [side[7:] for side in whole] == rest


def test_crops_of_source_and_target_are_their_own():
    ramp = tf.cast(tf.range(16)[:, None, None] * tf.ones((1, 16, 3), tf.int32), tf.uint8)
    side = Images(("ramp",), lambda index: ramp)
    sources, targets = drawn(Split("train", side, side), 20, load_size=16)
    assert sources != targets


def test_pairs_are_taken_apart_to_train_and_stay_pairs_to_measure(pair_folder):
    found = opened(pair_folder())
    assert not found.train.paired and found.validation.paired
    assert len(found.train.source) == len(found.train.target) == 6


def test_images_come_together_by_number_to_look_at(lists):
    sets = opened(lists).train
    (batch,) = evaluation_dataset(sets, geometry=8, batch_size=8)
    assert batch["source"].shape == batch["target"].shape == (3, 8, 8, 3)
    (few,) = evaluation_dataset(sets.subset([2, 0]), geometry=8, batch_size=8)
    np.testing.assert_array_equal(few["target"][0], batch["target"][2])


def test_a_recipe_of_pairs_says_what_it_needs(lists):
    with pytest.raises(ValueError, match="unless the recipe is one for unpaired sets"):
        open_data(Config(dataset="folder", data_dir=str(lists)))
    with pytest.raises(NoPairsError, match="'horse2zebra' has no pairs"):
        open_data(Config(dataset="horse2zebra"))


def test_sources_are_not_synthesized(lists):
    with pytest.raises(ValueError, match="--synthesize makes a source of each target"):
        opened(lists, synthesize="rain")


def test_an_empty_list_is_named(lists):
    for file in (lists / "trainB").iterdir():
        file.unlink()
    with pytest.raises(FileNotFoundError, match=r"No image .* in .*trainB"):
        opened(lists)


@pytest.fixture
def faces(tmp_path):
    for i in range(4):
        save(tmp_path / "celeba_hq" / f"img{i}.png", i)
    names = tmp_path / "lists_hq"
    names.mkdir()
    (names / "smiling_train.txt").write_text("img1.jpg\nimg3.jpg\n")
    (names / "not_smiling_train.txt").write_text("img0.jpg\nimg2.jpg\n")
    return tmp_path


def test_lists_of_names_make_the_domains(faces):
    found = opened(faces, dataset="celeba_hq", attribute="smiling")
    assert found.train.source.names == ("img0", "img2")
    assert found.train.target.names == ("img1", "img3")
    assert found.validation is None


def test_a_name_in_a_list_is_a_line(faces):
    save(faces / "celeba_hq" / "img 5.png", 5)
    lines = "\ufeffimg1.jpg\r\nimg 5.jpg\r\n\r\n"  # As Windows' editor saves it.
    (faces / "lists_hq" / "smiling_train.txt").write_bytes(lines.encode())
    found = opened(faces, dataset="celeba_hq", attribute="smiling")
    assert found.train.target.names == ("img 5", "img1")


def test_lists_that_are_not_there_are_named(faces):
    with pytest.raises(DatasetNotFoundError, match=r"not_blond_train\.txt"):
        opened(faces, dataset="celeba_hq", attribute="blond")
    (faces / "lists_hq" / "smiling_train.txt").write_text("img7.png")
    with pytest.raises(FileNotFoundError, match="Not there: img7"):
        opened(faces, dataset="celeba_hq", attribute="smiling")


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """`horse2zebra.zip` of our own in the manual folder, and TFDS told its checksum."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import checksums

    path = tmp_path / "downloads" / "manual" / "horse2zebra.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as file:
        for folder, count in (("trainA", 3), ("trainB", 2), ("testA", 1), ("testB", 1)):
            for i in range(count):
                encoded = io.BytesIO()
                level = 10 * i + 100 * folder.endswith("B")
                pixels = np.full((64, 64, 3), level, np.uint8)
                Image.fromarray(pixels).save(encoded, "jpeg", quality=95)
                file.writestr(f"horse2zebra/{folder}/{i}.jpg", encoded.getvalue())
    contents = path.read_bytes()
    info = checksums.UrlInfo(
        size=len(contents),
        checksum=hashlib.sha256(contents).hexdigest(),
        filename="horse2zebra.zip",
    )
    url = "https://efrosgans.eecs.berkeley.edu/cyclegan/datasets/horse2zebra.zip"
    kind = type(DATASETS["horse2zebra"].layout.builder("horse2zebra", tmp_path))
    monkeypatch.setattr(kind, "url_infos", {url: info})
    tfds.disable_progress_bar()
    return tmp_path


def test_an_archive_of_cyclegan_goes_through_tfds(archive):
    found = opened(archive, dataset="horse2zebra")
    assert (len(found.train.source), len(found.train.target)) == (3, 2)
    sources, targets = drawn(found.train, 6)
    assert sorted(set(sources)) == pytest.approx([0, 10, 20], abs=2)
    assert sorted(set(targets)) == pytest.approx([100, 110], abs=2)
    # Prepared: the archive is not needed again.
    DATASETS["horse2zebra"].layout.manual_paths("horse2zebra", archive)[0].unlink()
    assert opened(archive, dataset="horse2zebra").fingerprint == found.fingerprint


def test_another_archive_is_refused(archive):
    path = DATASETS["horse2zebra"].layout.manual_paths("horse2zebra", archive)[0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="Not the published archive of horse2zebra"):
        opened(archive, dataset="horse2zebra")


def test_all_files_of_celeb_a_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "host_answers", lambda url: False)
    with pytest.raises(DatasetNotFoundError, match=r"list_attr_celeba\.txt and"):
        opened(tmp_path, dataset="celeb_a", attribute="Smiling")


def test_without_archive_and_network_it_says_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "host_answers", lambda url: False)
    with pytest.raises(DatasetNotFoundError, match=r"manual/monet2photo\.zip"):
        opened(tmp_path, dataset="monet2photo")


def test_faces_are_parted_by_an_attribute_and_cropped(monkeypatch):
    """Records as TFDS writes those of celeb_a, without the archive of 1.4 GB."""

    def record(i):
        pixels = np.full((218, 178, 3), 50, np.uint8)
        pixels[29:189, 9:169] = 10 * i  # The middle 160 x 160.
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, "png")
        smiles = tf.train.Feature(int64_list=tf.train.Int64List(value=[i % 2]))
        image = tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[encoded.getvalue()])
        )
        male = tf.train.Feature(int64_list=tf.train.Int64List(value=[i // 2 % 2]))
        features = {"image": image, "attributes/Smiling": smiles}
        features["attributes/Male"] = male
        example = tf.train.Example(features=tf.train.Features(feature=features))
        return example.SerializeToString()

    features = {"attributes": {"Smiling": None, "Male": None}}
    prepared = types.SimpleNamespace(info=types.SimpleNamespace(features=features))
    monkeypatch.setattr(
        layout.records, "open_split", lambda *_: [record(i) for i in range(5)]
    )
    config = Config(dataset="celeb_a", attribute="Smiling")
    train, validation, test = layout._by_attribute(prepared, config, SPECS)
    assert [s.name for s in (train, validation, test)] == ["train", "val", "test"]
    levels = [int(train.source.load(tf.constant(i))[0, 0, 0]) for i in range(3)]
    assert levels == [0, 20, 40] and len(train.target) == 2
    assert train.target.load(tf.constant(1)).shape == (160, 160, 3)
    # Of 0, 2 and 4; then of 1 and 3, the other way round.
    assert train.source.attributes().tolist() == [[0, 0], [0, 1], [0, 0]]
    assert train.target.subset([1, 0]).attributes().tolist() == [[1, 1], [1, 0]]
    with pytest.raises(ValueError, match="--attribute must be one of: Male, Smiling"):
        layout._by_attribute(prepared, config.replace(attribute="Frowning"), SPECS)
