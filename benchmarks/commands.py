"""Commands in forks of a process that has imported TensorFlow but not used it.

A start takes seconds less than a process of its own, and can be disturbed at once.
"""

import os
import resource
import signal
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from pan_tf import cli
from pan_tf import interface  # noqa: F401  # What every command imports.


def start(argv, log, memory=None, environment=None):
    """A fork that runs a command, with more variables: its process number."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    with open(log, "ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if memory is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    os.environ.update(environment or {})
    sys.argv = ["pan-tf", *argv]
    cli.program()  # Ends the process.


def finish(argv, log, seconds=None, memory=None):
    """Runs a command.

    Args:
        argv: its name and flags.
        log: file for what it prints, which is added to.
        seconds: after which it is killed.
        memory: bytes of address space that it may take.

    Returns:
        (status, None if it was killed; seconds that it took).
    """
    begun = time.monotonic()
    child = start(argv, log, memory)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        took = time.monotonic() - begun
        if ended:
            return os.waitstatus_to_exitcode(status), took
        if seconds is not None and took >= seconds:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None, took
        time.sleep(0.002)
