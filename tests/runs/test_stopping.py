import os
import subprocess
import sys
import time

from pan_tf.runs import stopping

_CHILD = """
import pathlib, time
from pan_tf.runs.stopping import StopRequest
with StopRequest().listening() as stop:
    pathlib.Path("listens").touch()
    while not stop.requested:
        time.sleep(0.01)
pathlib.Path("stopped").touch()
"""
_PARENT = f"""
import os, subprocess, sys
environment = os.environ | {{"{stopping.PARENT}": str(os.getpid())}}
subprocess.run([sys.executable, "-c", {_CHILD!r}], env=environment)
"""


def test_a_run_stops_when_the_command_that_it_is_a_part_of_is_killed(tmp_path):
    paths = os.environ | {"PYTHONPATH": os.getcwd()}
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], cwd=tmp_path, env=paths)
    while not (tmp_path / "listens").exists():
        time.sleep(0.02)
    assert not (tmp_path / "stopped").exists()
    parent.kill()
    parent.wait()
    while not (tmp_path / "stopped").exists():  # The limit of a test ends it.
        time.sleep(0.02)
