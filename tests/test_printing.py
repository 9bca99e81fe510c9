"""What is printed never fails the work."""

import io
import os
import pathlib
import subprocess
import sys

import pytest

from pan_tf import printing
from pan_tf.progress import Progress

ROOT = pathlib.Path(__file__).parents[1]
NAME = "写真 caf\udce9.png"  # A latin-1 file name, as Python has it.


def printed(encoding, text, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding, newline=""))
    with printing.sturdy():
        print(text, flush=True)
    return raw.getvalue()


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("cp1252", rb"\u5199\u771f caf\udce9.png"),
        ("ascii", rb"\u5199\u771f caf\udce9.png"),
        ("utf-8", "写真 caf".encode() + rb"\udce9.png"),
    ],
)
def test_what_an_encoding_lacks_is_escaped(encoding, expected, monkeypatch):
    assert printed(encoding, NAME, monkeypatch) == expected + b"\n"


def test_what_a_terminal_would_obey_is_escaped(monkeypatch):
    name = "\x1b]0;title\x07\x1b[31m\x9b2J\x7f\u202egnp.exe\tfür\r"
    expected = "\\x1b]0;title\\x07\\x1b[31m\\x9b2J\\x7f\\u202egnp.exe\tfür\r\n"
    assert printed("utf-8", name, monkeypatch) == expected.encode()
    assert printing.one_line("a\nb\t\x1b") == "a\\nb\\t\\x1b"


def test_bars_of_libraries_are_drawn(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "utf-8", newline=""))
    with printing.sturdy():
        with printing.for_terminals():
            print("\x1b[1m1/2\x1b[0m\b", end="")
        print("\x1b", flush=True)
    assert raw.getvalue() == b"\x1b[1m1/2\x1b[0m\b\\x1b\n"


def test_what_it_has_is_left_as_it_is(monkeypatch):
    assert printed("cp1252", "café\t1\r", monkeypatch) == "café\t1\r\n".encode("cp1252")


def test_a_full_disk_and_a_reader_that_is_gone_raise_nothing(monkeypatch):
    read, write = os.pipe()
    os.close(read)
    for file in ("/dev/full", write):
        with open(file, "w") as stream:
            monkeypatch.setattr(sys, "stdout", stream)
            with printing.sturdy():
                print("x" * 100_000, flush=True)
                print(NAME, flush=True)
            with pytest.raises(OSError):
                print("x", flush=True)
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # To be closed.


def test_without_any_output_there_is_progress(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with printing.sturdy():
        print(NAME)
        with Progress(2, "reading") as progress:
            progress.advance()
        assert not sys.stdout.isatty()
    assert sys.stdout is None


def test_a_notebooks_stream_stays(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    with printing.sturdy():
        assert sys.stdout is stream


def test_streams_are_given_back_after_an_error(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(RuntimeError), printing.sturdy():
        raise RuntimeError
    assert sys.stdout is stream


@pytest.mark.parametrize("output", ["> /dev/full", ">&-", "| true"])
def test_a_command_ends_as_if_it_had_been_read(output):
    command = f"set -o pipefail; {sys.executable} -m pan_tf --help {output}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *((0.0521, "0.052"), (1, "1"), (3.84, "3.8"), (287.0, "290")),
        *((1_234_567, "1200000"), (0.0000124, "0.000012")),
    ],
)
def test_two_digits_without_an_exponent(number, text):
    assert printing.two_digits(number) == text
