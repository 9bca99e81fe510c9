"""Folders in shards: the same images, by the same names, in the same order."""

import itertools
import json
import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pan_tf import cli
from pan_tf import files
from pan_tf.config import Config
from pan_tf.data import DatasetNotFoundError
from pan_tf.data import Geometry
from pan_tf.data import locate
from pan_tf.data import open_data
from pan_tf.data import training_dataset
from pan_tf.data.layouts import listing
from pan_tf.data.layouts import shards
from pan_tf.runs import loop
from pan_tf.runs.folder import RunFolder
from tests.trained import eagerly


def fill(folder, names, size=(24, 20), seed=0):
    draw = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for name in names:
        pixels = draw.integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(os.fsencode(folder) + b"/" + name)


@pytest.fixture
def folders(tmp_path):
    """Two sides, with files of several kinds and one name that is not UTF-8."""
    names = [b"%d.png" % i for i in range(5)] + [b"f\xff.png", "ä b.png".encode()]
    for seed, side in enumerate("AB"):
        fill(tmp_path / "own" / f"train{side}", names, seed=seed)
        fill(tmp_path / "own" / f"test{side}", [b"x.jpg", b"y.bmp"], seed=seed)
    return tmp_path / "own"


def sharded(folders, count=3):
    place = folders.parent / "sharded"
    flags = [f"--shards={count}", f"--data_dir={folders}", f"--output_dir={place}"]
    assert not cli.run("prepare_data", flags)
    return place


def opened(place, **changes):
    return open_data(Config(dataset="folder", data_dir=str(place), **changes))


def first_rounds(data):
    dataset = training_dataset(
        data.train,
        geometry=Geometry("squash", 16, 18),
        augmentations={"flip"},
        batch_size=2,
        minibatches=2,
        seed=5,
        first_iteration=0,
    )
    return [
        {name: images.numpy() for name, images in batch.items()}
        for batch in itertools.islice(dataset, 5)
    ]


@pytest.mark.parametrize("recipe", ["pan", "cyclegan"])
def test_the_stream_and_the_fingerprint_are_those_of_the_folders(folders, recipe):
    of_files = opened(folders, recipe=recipe)
    of_shards = opened(sharded(folders), recipe=recipe)
    assert of_shards.train.source.names == of_files.train.source.names
    assert len(of_shards.train.source.names) == 7
    for one, other in zip(first_rounds(of_files), first_rounds(of_shards), strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    assert of_shards.fingerprint == of_files.fingerprint


def test_side_by_side_and_photos_too(tmp_path):
    fill(tmp_path / "own" / "train", [b"a.png", b"b.png"], size=(8, 16))
    place = sharded(tmp_path / "own", count=1)
    assert opened(place).train.source.names == ("a", "b")
    photos = open_data(
        Config(dataset="photos", data_dir=str(place), synthesize="hole", recipe="l1")
    )
    assert photos.train.target.names == ("a", "b")


def test_another_program_reads_them_as_examples(folders):
    place = sharded(folders)
    (first, *_) = sorted(map(str, place.glob("trainA-*.tfrecord")))
    wanted = sorted((folders / "trainA").iterdir())[:2]
    records = list(tf.data.TFRecordDataset(first))
    assert len(records) == 2
    for record, path in zip(records, wanted, strict=True):
        found = tf.train.Example.FromString(record.numpy()).features.feature
        assert found["name"].bytes_list.value[0] == os.fsencode(path.name)
        assert found["contents"].bytes_list.value[0] == path.read_bytes()


def test_shards_hold_as_many_files_each_as_there_can_be(folders):
    place = sharded(folders, count=3)
    found = json.loads((place / shards.INDEX).read_text())["folders"]
    numbers = [number for _, number, *_ in found["trainA"]["files"]]
    assert [numbers.count(i) for i in range(3)] == [2, 2, 3]
    assert len(found["testA"]["shards"]) == 2  # No more than files.


def test_a_member_is_read_where_it_is_asked_for(folders):
    place = sharded(folders)
    (member, *_) = listing.find(place, "train").files[0]
    contents = (folders / "trainA" / "0.png").read_bytes()
    with member.open() as file:
        file.seek(-4, os.SEEK_END)
        assert file.read(100) == contents[-4:] and file.read(1) == b""
        file.seek(1)
        assert file.read(3) == b"PNG"
    assert member.stat().st_size == len(contents)
    assert str(place / "trainA" / "0.png") in str(member)


def test_a_shard_that_was_cut_short_is_named(folders):
    place = sharded(folders)
    shard = sorted(place.glob("trainB-*"))[1]
    size = shard.stat().st_size
    os.truncate(shard, size - 1)
    with pytest.raises(ValueError, match=rf"{shard.name} has {size - 1} bytes, of"):
        opened(place)
    shard.unlink()
    with pytest.raises(ValueError, match=rf"{shard.name} has 0 bytes"):
        opened(place)


@pytest.mark.parametrize(
    ("contents", "said"), [(b"no image", "is not an image"), (b"", "is empty")]
)
def test_an_unusable_image_in_a_shard_is_named(folders, contents, said):
    (folders / "trainA" / "3.png").write_bytes(contents)
    with pytest.raises(ValueError, match=rf"trainA.3\.png \(in trainA-0000.*\) {said}"):
        opened(sharded(folders))


def test_an_index_that_cannot_be_read_is_named(folders):
    place = sharded(folders)
    whole = json.loads((place / shards.INDEX).read_text())
    folder = {"trainA": {"shards": [], "files": [["3.png", 0, 0, 1]]}}
    for found, said in (
        ({"version": 2}, "version 2"),
        ({"version": 1}, "'folders'"),
        ([], ""),
        (whole | {"folders": []}, ""),
        (whole | {"folders": {"trainA": None}}, ""),
        (whole | {"folders": folder}, "a file's shard is not listed"),
        (whole | {"folders": {"trainA": {"shards": [], "files": [["3.png"]]}}}, "whole"),
        (whole | {"folders": {"trainA": {"shards": [], "files": [3]}}}, ""),
    ):
        (place / shards.INDEX).write_text(json.dumps(found))
        advice = r"Copy the folder again, or make it anew .*prepare_data --shards"
        said = rf"shards\.json cannot be read: .*{said}.*\. {advice}"
        with pytest.raises(ValueError, match=said):
            opened(place)


def test_a_file_that_no_record_holds_is_named(folders, monkeypatch):
    monkeypatch.setattr(shards, "_LARGEST", 10)
    with pytest.raises(SystemExit, match=r"\.png has \d+ bytes; a record .* 10 at most"):
        sharded(folders)


def test_nothing_is_overwritten_and_a_half_written_set_is_none(folders, capsys):
    place = sharded(folders)
    before = {path: path.read_bytes() for path in place.iterdir()}
    flags = ["--shards=2", f"--data_dir={folders}", f"--output_dir={place}"]
    with pytest.raises(SystemExit, match="holds other shards, of other files or of"):
        cli.run("prepare_data", flags)
    with pytest.raises(SystemExit, match="Choose another one"):
        cli.run("prepare_data", [*flags[:2], f"--output_dir={folders}"])
    assert {path: path.read_bytes() for path in place.iterdir()} == before
    (place / shards.INDEX).unlink()
    with pytest.raises(DatasetNotFoundError, match="No train/"):
        locate(Config(dataset="folder", data_dir=str(place)))


def test_the_same_command_goes_on_where_it_was_interrupted(folders, monkeypatch):
    straight = {path.name: path.read_bytes() for path in sharded(folders).iterdir()}
    place = folders.parent / "sharded"
    whole, written = shards._write_shard, []

    def interrupted(path, *rest):
        if len(written) == 4:
            raise KeyboardInterrupt
        written.append(path.name)
        return whole(path, *rest)

    shutil.rmtree(place)
    monkeypatch.setattr(shards, "_write_shard", interrupted)
    flags = ["--shards=3", f"--data_dir={folders}", f"--output_dir={place}"]
    assert cli.run("prepare_data", flags) == 130
    with open(place / shards._BEGUN, "a") as file:
        file.write('["trainB-0000')  # As a kill leaves it, and a loss of power.
    (place / f"{files._PARTIAL}7-trainB-00001-of-00003.tfrecord").write_bytes(b"x")
    (place / written[1]).write_bytes(straight[written[1]][:100])
    (place / written[2]).unlink()
    for others in (
        ["--shards=2", f"--data_dir={folders}", f"--output_dir={place}"],
        ["--shards=3", f"--data_dir={place.parent / 'b'}", f"--output_dir={place}"],
    ):
        if not (place.parent / "b").exists():
            shutil.copytree(folders, place.parent / "b")
            (place.parent / "b" / "trainA" / "0.png").unlink()
        with pytest.raises(SystemExit, match="the beginning of other shards"):
            cli.run("prepare_data", others)
    kept = {written[0], written[3]}
    written.clear()
    monkeypatch.setattr(shards, "_write_shard", lambda *a: written.append(a) or whole(*a))
    assert not cli.run("prepare_data", flags)
    assert not kept & {path.name for path, *_ in written}
    assert {path.name: path.read_bytes() for path in place.iterdir()} == straight
    written.clear()
    assert not cli.run("prepare_data", flags) and not written

    def overwrite(path):
        contents = bytearray(path.read_bytes())
        contents[len(contents) // 2] ^= 255
        path.write_bytes(contents)

    # A shard that was lost later, or is not what it was, is made again.
    for damage in (pathlib.Path.unlink, lambda path: path.write_bytes(b""), overwrite):
        damage(place / "testA-00000-of-00002.tfrecord")
        written.clear()
        assert not cli.run("prepare_data", flags) and len(written) == 1
        assert {path.name: path.read_bytes() for path in place.iterdir()} == straight


def test_shards_that_are_made_anew_are_read_anew(folders):
    place = sharded(folders)
    first = listing.find(place, "train").files[0][0].read_bytes()
    shutil.rmtree(place)
    fill(folders.parent / "other" / "trainA", [b"0.png"], seed=9)
    new = (folders.parent / "other" / "trainA" / "0.png").read_bytes()
    (folders / "trainA" / "0.png").write_bytes(new)
    sharded(folders)
    assert listing.find(place, "train").files[0][0].read_bytes() == new != first


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--shards=2"], "--shards and --output_dir must be given together"),
        (["--shards=65", "--output_dir=x"], "--shards must be at most 64"),
    ],
)
def test_what_cannot_be_is_refused(folders, flags, sentence, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.run("prepare_data", [*flags, f"--data_dir={folders}"])
    assert sentence in f"{ended.value}{capsys.readouterr().err}"


def test_a_run_goes_on_from_shards_and_is_doctored(small_pairs, tmp_path, monkeypatch):
    own = tmp_path / "own"
    shutil.copytree(small_pairs, own)
    flags = ["--recipe=l1", "--image_size=64", f"--width={1 / 64}", "--batch_size=2"]
    flags += ["--nodownload", f"--run_dir={tmp_path / 'run'}", "--save_every=2"]
    flags += ["--validate_every=0"]
    monkeypatch.setattr(loop, "conclude", lambda *_: None)
    with eagerly():
        assert not cli.run("train", [*flags, f"--data_dir={own}", "--iterations=2"])
        place = sharded(own)
        assert not cli.run("train", [*flags, f"--data_dir={place}", "--iterations=4"])
    rows = RunFolder(tmp_path / "run").read_metrics()
    assert rows[-1]["iteration"] == 4
    verdicts = [cli.run("doctor", [f"--data_dir={each}"]) for each in (own, place)]
    assert verdicts[0] == verdicts[1]


def test_a_file_that_has_changed_is_none_of_the_shards(folders):
    sharded(folders)
    file = folders / "trainA" / "0.png"
    file.write_bytes(file.read_bytes()[:-1] + b"x")  # As long as it was.
    with pytest.raises(SystemExit, match="holds other shards"):
        sharded(folders)


def test_a_folder_is_read_before_shards_of_its_name(folders):
    place = sharded(folders)
    shutil.copytree(folders / "trainA", place / "trainA")
    assert listing.place(place, "trainA") == place / "trainA"


def test_the_end_names_the_shards_folder(folders, capsys):
    place = sharded(folders)
    assert f"prepared in {place}:" in capsys.readouterr().out
