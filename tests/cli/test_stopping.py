"""A command that is told to stop leaves nothing half written, and ends by the signal."""

import signal
import subprocess
import sys

import pytest

COMMAND = """
import os
import pathlib
import signal
import sys
import time
import types
from pan_tf import cli
from pan_tf import files

def write(argv):
    with files.whole(pathlib.Path(argv[0]) / "image.png") as partial:
        partial.write_text("half an image")
        print("writing", flush=True)
        os.kill(os.getpid(), getattr(signal, argv[1]))
        time.sleep(1)
    print("written", flush=True)

if sys.argv[2] != "SIGINT":  # Also where the tests run under nohup.
    given = signal.SIG_IGN if sys.argv[3:] else signal.SIG_DFL
    signal.signal(getattr(signal, sys.argv[2]), given)
cli._module = lambda name: types.SimpleNamespace(main=write)
cli._end(lambda: cli.run("translate", sys.argv[1:3]))
"""


def stopped(folder, name, *more):
    return subprocess.run(
        [sys.executable, "-c", COMMAND, folder, name, *more],
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_nothing_half_written_is_left(name, tmp_path):
    done = stopped(tmp_path, name)
    assert done.returncode == -getattr(signal, name)
    assert done.stdout == "writing\n" and not done.stderr
    assert not list(tmp_path.iterdir())


TRAINING = """
import os
import signal
from pan_tf.cli import stopping
from pan_tf.runs.stopping import StopRequest

for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
with stopping.unwinding(), StopRequest().listening():
    os.kill(os.getpid(), signal.SIGTERM)
    print("saving goes on", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
print("it was held back")
"""


def test_a_second_signal_to_a_training_ends_it_by_that_signal():
    done = subprocess.run(
        [sys.executable, "-c", TRAINING], capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGTERM
    assert done.stdout.endswith("saving goes on\n") and not done.stderr


def test_an_interrupted_command_says_so(tmp_path):
    done = stopped(tmp_path, "SIGINT")
    assert done.returncode == 130 and done.stderr == "\nInterrupted.\n"
    assert not list(tmp_path.iterdir())


def test_a_signal_that_is_ignored_stays_so(tmp_path):
    done = stopped(tmp_path, "SIGHUP", "ignored")
    assert done.returncode == 0 and done.stdout == "writing\nwritten\n"
    assert [path.name for path in tmp_path.iterdir()] == ["image.png"]
