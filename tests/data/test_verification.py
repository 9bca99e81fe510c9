"""Files that are read while the first are used already: the same refusals, in the end."""

import errno
import os
import pathlib
import threading
import time

import numpy as np
import pytest
from PIL import Image

from pan_tf import fingerprints
from pan_tf import progress
from pan_tf.config import Config
from pan_tf.data import UnusableFilesError
from pan_tf.data import open_data
from pan_tf.data import opening
from pan_tf.data import specs
from pan_tf.data.layouts import listing
from pan_tf.data.layouts import verification


@pytest.fixture
def config(pair_folder):
    return Config(dataset="folder", data_dir=str(pair_folder()), image_size=64)


def test_what_is_read_later_has_the_fingerprint_of_what_is_read_before(config):
    before = open_data(config)
    assert before.verification is None
    later = open_data(config, patience=0)
    assert later.fingerprint.endswith(fingerprints.UNVERIFIED)
    assert later.verification.fingerprint() == before.fingerprint
    assert later.verification.done == later.verification.total == 8


def test_without_patience_it_rests_until_told(config, monkeypatch):
    monkeypatch.setattr(verification, "_CHUNK", 1)
    check, seen, may_begin = verification._check, [], threading.Event()

    def slow(*each):
        may_begin.wait(10)
        seen.append(each)
        return check(*each)

    monkeypatch.setattr(verification, "_check", slow)
    found = open_data(config, patience=0).verification
    may_begin.set()  # One is under way.
    found._thread.join(0.2)
    assert len(seen) <= 1 and not found.is_done
    found.go_on()
    found.fingerprint()
    assert len(seen) == 8


def test_what_is_found_while_it_is_waited_for_is_told_at_once(config, monkeypatch):
    monkeypatch.setattr(verification, "_CHUNK", 1)
    root = pathlib.Path(config.data_dir) / "train"
    (root / "000.png").write_text("x")
    (root / "005.png").write_text("x")
    check = verification._check
    monkeypatch.setattr(
        verification, "_check", lambda *each: time.sleep(0.1) or check(*each)
    )
    with pytest.raises(UnusableFilesError, match="2 of 8"):
        open_data(config, patience=0.3)


def test_a_terminal_is_shown_a_line_before_a_file_is_read(config, monkeypatch):
    monkeypatch.setattr(progress, "is_live", lambda: True)
    check = verification._check
    monkeypatch.setattr(
        verification, "_check", lambda *each: time.sleep(1.3) or check(*each)
    )
    assert open_data(config).verification is None


def test_a_file_that_has_gone_meanwhile_is_named(config, monkeypatch):
    check, may_begin = verification._check, threading.Event()
    monkeypatch.setattr(
        verification, "_check", lambda *each: may_begin.wait(10) and check(*each)
    )
    found = open_data(config, patience=0).verification
    (pathlib.Path(config.data_dir) / "val" / "001.png").unlink()
    may_begin.set()
    with pytest.raises(UnusableFilesError, match=r"1 of 8 .*val/001\.png: No such file"):
        found.fingerprint()


def test_a_file_that_a_disk_does_not_give_is_named(tmp_path, monkeypatch):
    """A read that fails has a number, but no file's name."""

    def read_bytes(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(pathlib.Path, "read_bytes", read_bytes)
    _, problem = verification._check([tmp_path / "a.png"], None, False)
    assert problem == f"{tmp_path / 'a.png'}: {os.strerror(errno.EIO)}"


def test_a_closed_one_reads_no_more(config, monkeypatch):
    monkeypatch.setattr(verification, "_CHUNK", 1)
    found = open_data(config, patience=0).verification
    found.close()
    found._thread.join(10)
    assert not found._thread.is_alive()


def test_all_unusable_files_are_named_in_the_end(config):
    root = pathlib.Path(config.data_dir)
    (root / "train" / "001.png").write_text("x")
    (root / "val" / "000.png").write_text("x")
    found = open_data(config, patience=0)
    with pytest.raises(UnusableFilesError, match="2 of 8 pairs cannot be used") as caught:
        found.verification.fingerprint()
    assert "train/001.png" in str(caught.value) and "val/000.png" in str(caught.value)


def test_what_is_known_of_unread_files_is_read_again_and_is_of_the_same(config):
    known = open_data(config, patience=0).describe()
    again = open_data(config, verified=known, patience=0)
    assert again.verification is not None
    full = open_data(config, verified=known)
    assert fingerprints.same_files(known["fingerprint"], full.fingerprint)
    assert open_data(config, verified=full.describe(), patience=0).verification is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a:b", "a:b", True),
        ("a:b", "a:c", False),
        ("a:unverified", "a:c", True),
        ("a:b", "a:unverified", True),
        ("a:unverified", "b:unverified", False),
        ("bluemarble", "bluemarble", True),
        ("bluemarble", "etopo1", False),
    ],
)
def test_fingerprints_agree_as_far_as_both_are_known(one, other, same):
    assert fingerprints.same_files(one, other) is same


def test_a_failure_of_the_reader_itself_is_not_taken_for_success(config, monkeypatch):
    monkeypatch.setattr(verification, "_check", lambda *each: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        open_data(config)


def test_of_many_files_some_headers_are_looked_at_and_the_others_read(
    config, monkeypatch
):
    for module in (specs, opening):
        monkeypatch.setattr(module, "LOOKED_AT", 3)  # 000, 002 or 003, 005.
    headers = []
    read = listing.read_header
    monkeypatch.setattr(
        listing, "read_header", lambda file: headers.append(file.name) or read(file)
    )
    listing._header_as_of.cache_clear()
    opened = open_data(config)
    assert headers.count("001.png") == 0 and headers.count("005.png") == 1
    assert opened.geometry.files.count == 3
    grey = pathlib.Path(config.data_dir) / "train" / "001.png"
    Image.fromarray(np.zeros((72, 144, 4), np.uint8)).save(grey)
    assert open_data(config).source.channels == 3
    np.save(grey.with_suffix(".npy"), np.zeros((72, 144, 5), np.uint8))
    grey.unlink()
    with pytest.raises(UnusableFilesError, match=r"1 of 8 pairs .*001\.npy"):
        open_data(config)


def test_a_range_of_all_files_is_not_that_of_some(config, monkeypatch):
    monkeypatch.setattr(specs, "LOOKED_AT", 3)
    root = pathlib.Path(config.data_dir) / "train"
    for number, file in enumerate(sorted(root.iterdir())):
        values = np.linspace(0, 1, 72 * 144 * 3, dtype=np.float32).reshape(72, 144, 3)
        np.save(file.with_suffix(".npy"), values * (50 if number == 1 else 1))
        file.unlink()
    changes = {"source_bits": 16, "target_bits": 16, "source_range": "full"}
    source, _ = specs.specs(config.replace(**changes, target_range="full"))
    assert source.high == 50


def test_files_that_came_a_moment_ago_are_seen(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(b"x")
        assert len(listing.images_of(tmp_path)) == number + 1
