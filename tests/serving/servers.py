"""Starts the stand-in for a model server; for tests and benchmarks."""

import contextlib
import dataclasses
import json
import pathlib
import subprocess
import sys

_PROGRAM = pathlib.Path(__file__).with_name("stand_in.py")


@dataclasses.dataclass(frozen=True)
class Server:
    """A running stand-in; `warmed` counts warm-up requests by model and version."""

    process: subprocess.Popen
    grpc: str
    rest: str
    warmed: dict


@contextlib.contextmanager
def running(config):
    """Context in which a server serves what a models.config names.

    Raises:
        RuntimeError: if it does not start; the message is what it said last.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", str(_PROGRAM), str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        if not line.startswith("READY"):
            raise RuntimeError(process.communicate()[1].strip()[-2000:])
        _, grpc, rest, warmed = line.split(maxsplit=3)
        yield Server(
            process, f"127.0.0.1:{grpc}", f"127.0.0.1:{rest}", json.loads(warmed)
        )
    finally:
        process.kill()
        process.communicate()
