import os
import pathlib
import signal
import subprocess
import sys
import time

from pan_tf.runs import stopping

_CHILD = """
import pathlib, sys, time
from pan_tf.runs.stopping import StopRequest
with StopRequest().listening() as stop:
    pathlib.Path("listens").touch()
    for _ in range(6000):
        if stop.requested:
            break
        time.sleep(0.01)
    time.sleep(float(sys.argv[1]))  # Saves.
    pathlib.Path("stopped").touch()
"""
_PARENT = f"""
import os, subprocess, sys
environment = os.environ | {{"{stopping.PARENT}": str(os.getpid())}}
child = subprocess.Popen(
    [sys.executable, "-c", {_CHILD!r}, sys.argv[1]], env=environment
)
print(child.pid, flush=True)
child.wait()
"""


def begun(tmp_path, seconds_to_save):
    """A process whose child listens: (the process, the child's number)."""
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(seconds_to_save)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.getcwd()},
        stdout=subprocess.PIPE,
    )
    child = int(parent.stdout.readline())
    while not (tmp_path / "listens").exists():
        time.sleep(0.02)
    return parent, child


def has_stopped(tmp_path, child):
    """Waits for the child; whether it has come to its end."""
    line = pathlib.Path(f"/proc/{child}/cmdline")
    while line.exists() and line.read_bytes():  # The limit of a test ends it.
        time.sleep(0.02)
    return (tmp_path / "stopped").exists()


def test_a_run_stops_when_its_command_is_killed(tmp_path):
    parent, child = begun(tmp_path, 0)
    assert not (tmp_path / "stopped").exists()
    parent.kill()
    parent.communicate()
    assert has_stopped(tmp_path, child)


def test_a_run_that_saves_is_let_save_when_its_command_is_killed(tmp_path):
    parent, child = begun(tmp_path, 2)
    os.kill(child, signal.SIGTERM)
    time.sleep(0.2)
    parent.kill()
    parent.communicate()
    assert has_stopped(tmp_path, child)
