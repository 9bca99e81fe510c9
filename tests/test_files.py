import os

import pytest
import tensorflow as tf

from pan_tf import files
from pan_tf.data import preprocessing
from tests.disk import limited_files


def test_a_written_file_is_whole_and_leaves_nothing_beside_it(tmp_path):
    files.write(tmp_path / "a.txt", "first")
    files.write(tmp_path / "a.txt", "caf\udce9")
    assert (tmp_path / "a.txt").read_text() == "caf\\udce9"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("length", [1, 230, 240, 246, 255])
def test_the_longest_name_that_a_disk_takes_can_be_written(length, tmp_path):
    path = tmp_path / ("n" * length)
    files.write(path, "text")
    assert path.read_text() == "text" and len(list(tmp_path.iterdir())) == 1


def test_two_processes_can_write_one_name(tmp_path, monkeypatch):
    # In containers each of them is process 1.
    monkeypatch.setattr("os.getpid", lambda: 1)
    with files.whole(tmp_path / "a.txt") as ours:
        ours.write_text("ours")
        files.write(tmp_path / "a.txt", "theirs")
    assert (tmp_path / "a.txt").read_text() == "ours"
    assert len(list(tmp_path.iterdir())) == 1


def test_somebodys_folder_is_refused_and_ours_is_not(tmp_path):
    files.check_output_dir(tmp_path / "new", "mark")
    files.check_output_dir(tmp_path, "mark")
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(ValueError, match="holds files but no mark"):
        files.check_output_dir(tmp_path, "mark")
    (tmp_path / "mark").write_text('{"theirs": 1}')
    files.check_output_dir(tmp_path, "mark")
    with pytest.raises(ValueError, match="holds files but no mark of ours"):
        files.check_output_dir(tmp_path, "mark", ["ours"])


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(28, "No space left on device", "a.png"), "a.png: No space left on dev"),
        (PermissionError(13, "Permission denied"), "Permission denied."),
        (IsADirectoryError(21, "", "r/metrics.jsonl"), "r/metrics.jsonl: Is a directory"),
        (RuntimeError("{{node}} /r/logs; Not a directory"), "/r/logs: Not a directory."),
        (
            RuntimeError("{{node}} /r/ckpt-1_temp/part; No space left on device\n\tMore"),
            "/r/ckpt-1_temp/part: No space left on device.",
        ),
        (
            RuntimeError("{{function_node x}} /my runs/a/part; No space left on device"),
            "/my runs/a/part: No space left on device.",
        ),
        (MemoryError(), "There is too little memory."),
        (
            RuntimeError(
                "{{node x}} OOM when allocating tensor with shape[9,9] and type"
            ),
            "There is too little memory for a tensor of shape [9,9]. A smaller --batch",
        ),
        (
            RuntimeError(
                "Graph execution error:\nOperation received an exception:Status: 1, "
                "message: could not create a primitive, in file mkl_conv_ops.cc:1"
            ),
            "There is too little memory for a convolution. A smaller --batch_size",
        ),
        (
            RuntimeError(
                "{{node IteratorGetNext}} Failed to allocate memory for the batch"
            ),
            "There is too little memory for the minibatches of a round. A smaller",
        ),
        (RuntimeError("/r/x; Read-only file system"), "/r/x: Read-only file system."),
        (
            RuntimeError("at the end:\nwrite() failed: No space left on device, in /r/x"),
            "write() failed: No space left on device, in /r/x.",
        ),
    ],
)
def test_what_the_disk_has_against_it_is_a_sentence(error, sentence):
    assert files.trouble(error).startswith(sentence)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("shapes; differ"),
        OSError("is damaged"),
        RuntimeError("OOM"),
        FileNotFoundError(2, "No such file or directory", "x.json"),
        ConnectionResetError(104, "Connection reset by peer"),
    ],
)
def test_other_errors_are_not_the_disks(error):
    assert files.trouble(error) is None


def test_an_image_that_a_graph_cannot_read_is_a_sentence(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")

    @tf.function
    def read(path):
        return preprocessing.read(path)

    with pytest.raises(tf.errors.OpError) as caught:
        read(str(tmp_path / "a.png"))
    sentence = files.trouble(caught.value)
    assert sentence.startswith(str(tmp_path / "a.png")) and "\n" not in sentence
    for name, shown in (
        ("b.png", "b.png"),
        ("x Traceback y.png", "x Traceback y.png"),
        (b"\xff\xe9.png", "\\udcff\\udce9.png"),
    ):
        with pytest.raises(tf.errors.OpError) as caught:
            read(os.fsencode(tmp_path) + b"/" + os.fsencode(name))
        assert files.trouble(caught.value) == f"{tmp_path}/{shown} is not there."


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "a.txt").write_text("first")
    with limited_files(10), pytest.raises(OSError, match="too large"):
        files.write(tmp_path / "a.txt", "x" * 100)
    assert (tmp_path / "a.txt").read_text() == "first"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
