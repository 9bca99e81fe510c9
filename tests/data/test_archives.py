"""The archives' way from a server, or from a folder, to random access."""

import dataclasses
import functools
import hashlib
import http.server
import os
import pathlib
import tarfile
import threading
import time
import zipfile

import numpy as np
import pytest
from PIL import Image

from pan_tf.config import Config
from pan_tf.data import DATASETS
from pan_tf.data import DatasetNotFoundError
from pan_tf.data import Geometry
from pan_tf.data import locate
from pan_tf.data import open_data
from pan_tf.data import training_dataset
from pan_tf.data.layouts import archives
from pan_tf.data.layouts import pix2pix

FACADES, CITYSCAPES = (DATASETS[name].layout for name in ("facades", "cityscapes"))


def level(split, i):
    return {"train": 0, "val": 100}[split] + 10 * i


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """`facades.tar.gz` of our own, in place of the published one."""
    root = tmp_path / "made" / "facades"
    for split, count in (("train", 4), ("val", 2)):
        (root / split).mkdir(parents=True)
        for i in range(count):
            pixels = np.full((64, 128, 3), level(split, i), np.uint8)
            pixels[:, 64:] += 5
            Image.fromarray(pixels).save(root / split / f"{i}.jpg", quality=95)
    path = tmp_path / "served" / "facades.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as file:
        file.add(root, "facades")
    contents = path.read_bytes()
    ours = archives.Archive(
        DATASETS["facades"].layout.archive.url,
        num_bytes=len(contents),
        sha256=hashlib.sha256(contents).hexdigest(),
    )
    use(ours, monkeypatch)
    return path


def use(archive, monkeypatch):
    row = dataclasses.replace(DATASETS["facades"], layout=pix2pix.Pix2pix(archive))
    monkeypatch.setitem(DATASETS, "facades", row)


@pytest.fixture
def server(archive, monkeypatch):
    """Serves the archive on this machine, in place of the published host."""
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=archive.parent
    )
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{served.server_port}/"
        ours = DATASETS["facades"].layout.archive
        use(dataclasses.replace(ours, url=f"{url}facades.tar.gz"), monkeypatch)
        yield url
        served.shutdown()


@pytest.fixture
def no_network(monkeypatch):
    monkeypatch.setattr(archives, "host_answers", lambda url: False)


def by_hand(archive, data_dir):
    place = DATASETS["facades"].layout.manual_paths("facades", data_dir)[0]
    place.parent.mkdir(parents=True)
    place.write_bytes(archive.read_bytes())
    return place


def config(data_dir, **changes):
    settings = {"dataset": "facades", "data_dir": str(data_dir), "image_size": 64}
    return Config(**{**settings, **changes})


def test_download_prepare_and_read_at_random(server, tmp_path):
    settings = locate(config(tmp_path / "data"))
    data = open_data(settings)
    assert (len(data.train), len(data.validation)) == (4, 2)
    # Labels -> photo: the source is the right half.
    levels = []
    for index in (3, 0, 2, 1):
        source, target = (int(side.numpy().mean()) for side in data.train.load(index))
        assert source == pytest.approx(target + 5, abs=1)
        levels.append(round(target, -1))
    assert sorted(levels) == [0, 10, 20, 30]
    batch = next(
        iter(
            training_dataset(
                data.train,
                geometry=Geometry("squash", 64, 72),
                augmentations=("flip",),
                batch_size=2,
                minibatches=2,
                seed=1,
            )
        )
    )
    assert batch["source"].shape == (2, 2, 64, 64, 3)


def test_archive_put_in_place_by_hand(archive, no_network, tmp_path):
    by_hand(archive, tmp_path / "data")
    DATASETS["facades"].layout.prepare("facades", tmp_path / "data")
    assert DATASETS["facades"].layout.is_prepared("facades", tmp_path / "data")


def test_what_a_killed_command_has_left_is_deleted_and_what_is_written_is_not(
    archive, no_network, tmp_path
):
    layout, data_dir = DATASETS["facades"].layout, tmp_path / "data"
    by_hand(archive, data_dir)
    version = pathlib.Path(layout.builder("facades", data_dir).data_dir)
    for name, age in (("old", 2 * 3600), ("new", 60)):
        part = version.parent / f"incomplete.{name}_1.0.0" / "part"
        part.parent.mkdir(parents=True)
        part.write_bytes(b"x")
        then = time.time() - age
        for path in (part, part.parent):
            os.utime(path, (then, then))
    layout.prepare("facades", data_dir)
    left = [path.name for path in version.parent.iterdir()]
    assert sorted(left) == ["1.0.0", "incomplete.new_1.0.0"]


def test_an_archive_writes_nothing_outside_of_its_folder(
    archive, no_network, tmp_path, monkeypatch
):
    """By a name that leads out, an absolute one, a link, and a file through a link."""
    secret, outside = tmp_path / "secret.jpg", tmp_path / "outside"
    Image.fromarray(np.full((64, 128, 3), 250, np.uint8)).save(secret)
    outside.mkdir()
    made = tmp_path / "made" / "facades"
    with tarfile.open(archive, "w:gz") as file:
        file.add(made, "facades")
        photo = made / "train" / "0.jpg"
        file.add(photo, "../" * 9 + str(outside)[1:] + "/up.jpg")
        file.add(photo, f"{outside}/absolute.jpg")
        for name, target in (("facades/train/9.jpg", secret), ("facades/out", outside)):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, str(target)
            file.addfile(link)
        file.add(photo, "facades/out/through.jpg")
    use(archives.Archive(DATASETS["facades"].layout.archive.url), monkeypatch)
    by_hand(archive, tmp_path / "data")
    DATASETS["facades"].layout.prepare("facades", tmp_path / "data")
    assert not list(outside.iterdir())
    train = open_data(config(tmp_path / "data")).train
    levels = [int(train.load(i)[1].numpy().mean()) for i in range(len(train))]
    assert max(levels) < 40  # The link's target, 250, was not read.


@pytest.mark.parametrize("harm", ["cut", "changed"])
def test_another_archive_is_refused(archive, no_network, tmp_path, harm):
    place = by_hand(archive, tmp_path / "data")
    contents = bytearray(place.read_bytes())
    if harm == "changed":
        contents[100] ^= 1
    place.write_bytes(contents[:-10] if harm == "cut" else contents)
    with pytest.raises(ValueError, match=r"to be the published facades\.tar\.gz"):
        DATASETS["facades"].layout.prepare("facades", tmp_path / "data")
    assert not DATASETS["facades"].layout.is_prepared("facades", tmp_path / "data")


@pytest.fixture
def unpinned(archive, no_network, monkeypatch):
    """A data set of whose archive no checksum has been published."""
    use(archives.Archive(DATASETS["facades"].layout.archive.url), monkeypatch)
    return DATASETS["facades"].layout


def test_an_archive_that_takes_anothers_place_is_read(archive, unpinned, tmp_path):
    place = by_hand(archive, tmp_path / "data")
    right = place.read_bytes()
    with tarfile.open(place, "w:gz") as file:
        file.add(tmp_path / "made" / "facades", "another")
    with pytest.raises(FileNotFoundError, match=r"No facades/train/\*\.jpg in .*tar\.gz"):
        unpinned.prepare("facades", tmp_path / "data")
    place.write_bytes(right)
    unpinned.prepare("facades", tmp_path / "data")
    assert len(open_data(config(tmp_path / "data")).train) == 4


def test_an_archive_may_have_a_test_split_and_no_val(
    archive, no_network, monkeypatch, tmp_path
):
    url = DATASETS["facades"].layout.archive.url
    use(archives.Archive(url, splits=("train", "test")), monkeypatch)
    place, made = by_hand(archive, tmp_path / "data"), tmp_path / "made" / "facades"
    (made / "val").rename(made / "test")
    with tarfile.open(place, "w:gz") as file:
        file.add(made, "facades")
    DATASETS["facades"].layout.prepare("facades", tmp_path / "data")
    held_out = open_data(config(tmp_path / "data")).held_out
    assert (held_out.name, len(held_out)) == ("test", 2)


@pytest.mark.parametrize("harm", ["cut", "changed", "a page", "empty"])
def test_a_damaged_archive_is_named(archive, unpinned, tmp_path, harm):
    place = by_hand(archive, tmp_path / "data")
    contents = place.read_bytes()
    middle = len(contents) // 2
    place.write_bytes(
        {
            "cut": contents[:middle],
            "changed": contents[:middle] + b"x" * 9 + contents[middle + 9 :],
            "a page": b"<html>Not found</html>",
            "empty": b"",
        }[harm]
    )
    with pytest.raises(ValueError, match=r"facades\.tar\.gz cannot be unpacked: "):
        unpinned.prepare("facades", tmp_path / "data")
    assert not unpinned.is_prepared("facades", tmp_path / "data")


def test_without_network_the_message_says_where_and_how(no_network, tmp_path):
    with pytest.raises(DatasetNotFoundError) as caught:
        locate(config(tmp_path / "data"))
    message = str(caught.value)
    assert (
        str(DATASETS["facades"].layout.manual_paths("facades", tmp_path / "data")[0])
        in message
    )
    assert "pan-tf prepare_data --dataset=facades" in message


def test_fallback_only_where_it_is_asked_for(no_network, tmp_path):
    settings = locate(config(tmp_path, fallback_dataset="bluemarble"))
    assert settings.dataset == "bluemarble"
    data = open_data(settings, requested="facades").describe()
    assert (data["name"], data["requested"], data["fallback"]) == (
        "bluemarble",
        "facades",
        True,
    )


def test_a_host_that_has_it_no_more_is_told_and_the_fallback_taken(server, tmp_path):
    ours = DATASETS["facades"].layout.archive
    gone = dataclasses.replace(ours, url=f"{server}moved.tar.gz")
    with pytest.MonkeyPatch.context() as patch:
        use(gone, patch)
        with pytest.raises(
            DatasetNotFoundError, match=r"does not give it: .*404"
        ) as told:
            locate(config(tmp_path / "data"))
        place = tmp_path / "data" / "downloads" / "manual" / "moved.tar.gz"
        assert f"put it at {place} and run" in str(told.value)
        settings = locate(config(tmp_path / "data", fallback_dataset="bluemarble"))
    assert settings.dataset == "bluemarble"


def test_behind_a_proxy_the_host_need_not_answer_itself(monkeypatch):
    nowhere = "http://127.0.0.1:9/facades.tar.gz"
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert not archives.host_answers(nowhere, seconds=1.0)
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    assert archives.host_answers(nowhere, seconds=1.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert not archives.host_answers(nowhere, seconds=1.0)


def test_nodownload_stays_off_the_network(server, tmp_path):
    with pytest.raises(DatasetNotFoundError, match="--nodownload was given"):
        locate(config(tmp_path / "data", download=False))


def test_published_maps_is_pinned():
    known = DATASETS["maps"].layout.archive
    assert known.num_bytes == 250_242_400 and len(known.sha256) == 64


def test_cache_of_tfds_is_below_data_dir(server, tmp_path):
    locate(config(tmp_path / "data"))
    assert {p.name for p in pathlib.Path(tmp_path / "data").iterdir()} == {
        "downloads",
        "pix2pix_pairs",
    }


@pytest.fixture
def official_cityscapes(tmp_path):
    """Cityscapes' own two archives, small, by hand in their place."""
    place = (
        DATASETS["cityscapes"]
        .layout.manual_paths("cityscapes", tmp_path / "data")[0]
        .parent
    )
    place.mkdir(parents=True)
    left, right = (place / name for name in pix2pix.CITYSCAPES_ARCHIVES)
    with zipfile.ZipFile(left, "w") as photos, zipfile.ZipFile(right, "w") as labels:
        for split, city, numbers in (("train", "ulm", (0, 1)), ("val", "bonn", (0,))):
            for i in numbers:
                stem = f"{city}_{i:06d}_000019"
                photo = np.full((64, 128, 3), 50 + i, np.uint8)
                label = np.zeros((64, 128, 3), np.uint8)
                label[:, 64:] = 128, 64, 128  # Road, on the right half.
                for archive, kind, suffix, pixels in (
                    (photos, "leftImg8bit", "leftImg8bit", photo),
                    (labels, "gtFine", "gtFine_color", label),
                ):
                    path = tmp_path / "one.png"
                    Image.fromarray(pixels).save(path)
                    archive.write(path, f"{kind}/{split}/{city}/{stem}_{suffix}.png")
    return tmp_path / "data"


def test_cityscapes_is_built_from_its_own_archives(official_cityscapes, no_network):
    settings = Config(dataset="cityscapes", data_dir=str(official_cityscapes))
    opened = open_data(locate(settings))
    assert (len(opened.train), len(opened.held_out)) == (2, 1)
    label, photo = (np.array(side) for side in opened.held_out.load(0))
    assert label.shape == photo.shape == (256, 256, 3)
    # Up to JPEG's noise, no colour between those of two classes.
    assert np.abs(photo.astype(int) - 50).max() <= 1
    assert np.abs(label[:, 140:].astype(int) - (128, 64, 128)).max() <= 6
    assert label[:, :116].max() <= 6


def test_damaged_archives_of_cityscapes_are_named(official_cityscapes, no_network):
    photos = CITYSCAPES.manual_paths("cityscapes", official_cityscapes)[0]
    photos = photos.parent / pix2pix.CITYSCAPES_ARCHIVES[0]
    photos.write_bytes(photos.read_bytes()[:100])
    with pytest.raises(
        ValueError, match=r"leftImg8bit_trainvaltest\.zip or .* be unpacked"
    ):
        CITYSCAPES.prepare("cityscapes", official_cityscapes)


def test_cityscapes_without_labels_is_named(official_cityscapes, no_network):
    place = (
        DATASETS["cityscapes"]
        .layout.manual_paths("cityscapes", official_cityscapes)[0]
        .parent
    )
    with zipfile.ZipFile(place / pix2pix.CITYSCAPES_ARCHIVES[1], "w"):
        pass
    with pytest.raises(FileNotFoundError, match=r"gtFine/train/ulm/.*_color\.png"):
        CITYSCAPES.prepare("cityscapes", official_cityscapes)
    assert not CITYSCAPES.is_prepared("cityscapes", official_cityscapes)


def test_both_ways_to_cityscapes_are_told(no_network, tmp_path):
    with pytest.raises(DatasetNotFoundError, match=r"leftImg8bit_trainvaltest\.zip"):
        locate(Config(dataset="cityscapes", data_dir=str(tmp_path)))


def test_an_archive_of_another_size_is_refused(tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(b"1234")
    with pytest.raises(ValueError, match=r"must have 5 bytes.* Received: 4 bytes"):
        archives.Archive("https://h/x.tar.gz", num_bytes=5).verify(tmp_path / "x.tar.gz")


@pytest.mark.parametrize(
    ("url", "port"), [("https://h/x", 443), ("http://h/x", 80), ("http://h:99/x", 99)]
)
def test_a_host_is_asked_at_the_port_of_its_scheme(url, port, monkeypatch):
    asked = []

    def refuse(address, seconds):
        asked.append(address)
        raise OSError

    monkeypatch.setattr(archives.socket, "create_connection", refuse)
    assert not archives.host_answers(url)
    assert asked == [("h", port)]
