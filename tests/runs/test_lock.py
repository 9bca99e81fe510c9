"""One training at a time in a run folder."""

import logging
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from pan_tf.config import Config
from pan_tf.runs import lock
from pan_tf.runs.folder import RunFolder
from pan_tf.runs.folder import RunFolderError
from tests.trained import train

HOLDER = """
import sys
from pan_tf.runs import lock
with lock.hold(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder):
    """Another process that has the folder until it ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_another_process_is_named_until_it_is_killed(tmp_path):
    process = holder(tmp_path)
    for use in (lock.hold(tmp_path).__enter__, lambda: lock.check_free(tmp_path)):
        with pytest.raises(lock.HeldError, match=rf"process {process.pid} on \S+ since"):
            use()
    process.send_signal(signal.SIGKILL)
    process.wait()
    lock.check_free(tmp_path)
    with lock.hold(tmp_path):
        assert f"process {os.getpid()} on" in (tmp_path / lock.NAME).read_text()


def test_it_is_given_back_at_the_end_and_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), lock.hold(tmp_path):
        with pytest.raises(lock.HeldError):
            lock.check_free(tmp_path)
        raise RuntimeError
    lock.check_free(tmp_path)


def test_to_look_makes_nothing(tmp_path):
    lock.check_free(tmp_path)
    lock.check_free(tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())


def no_locks(*_):
    raise OSError(37, "No locks available")


def test_where_there_are_no_locks_it_is_loud_and_recorded(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(lock.fcntl, "flock", no_locks)
    config = Config(dataset="maps")
    folder = RunFolder(tmp_path / "run")
    with caplog.at_level(logging.WARNING, logger="absl"), folder.held(config):
        folder.start(config, {"name": "maps", "fingerprint": "abc"}, [])
    assert "cannot be locked (No locks available)" in caplog.text
    assert "No locks available" in (folder.path / "manifest.json").read_text()


def test_a_second_training_is_refused_and_changes_nothing(toy, tmp_path):
    config = toy(run_dir=str(tmp_path / "run"), image_size=64, width=1 / 64)
    pathlib.Path(config.run_dir).mkdir()
    process = holder(config.run_dir)
    with pytest.raises(RunFolderError, match=rf"in use .* process {process.pid}"):
        train(config)
    assert [p.name for p in (tmp_path / "run").iterdir()] == [lock.NAME]
    process.communicate("")


def test_what_a_kill_left_in_the_first_second_is_no_obstacle(tmp_path):
    for name in (lock.NAME, ".partial-7-run.cfg"):
        (tmp_path / name).touch()
    RunFolder(tmp_path).check(Config(dataset="maps"))
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(RunFolderError, match="but no run"):
        RunFolder(tmp_path).check(Config(dataset="maps"))
