"""Starts the stand-in for a model server; for tests and benchmarks."""

import contextlib
import dataclasses
import json
import pathlib
import subprocess
import sys
import tempfile

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

_PROGRAM = pathlib.Path(__file__).with_name("stand_in.py")


@dataclasses.dataclass(frozen=True)
class Server:
    """A running stand-in; `warmed` counts warm-up requests by model and version."""

    process: subprocess.Popen
    grpc: str
    rest: str
    warmed: dict


def request(model, signature, feeds, wanted=()):
    """A PredictRequest.

    Args:
        model: its name.
        signature: name of the signature.
        feeds: alias -> array.
        wanted: aliases of the outputs that are asked for; none: all.
    """
    made = predict_pb2.PredictRequest()
    made.model_spec.name = model
    made.model_spec.signature_name = signature
    made.output_filter.extend(wanted)
    for alias, value in feeds.items():
        dtype = tf.string if value.dtype == object else None
        made.inputs[alias].CopyFrom(tf.make_tensor_proto(value, dtype))
    return made


@contextlib.contextmanager
def running(config):
    """Context in which a server serves what a models.config names.

    Raises:
        RuntimeError: if it does not start; the message is what it said last.
    """
    # A file: libjpeg prints a line for each broken JPEG, and a pipe that nobody reads
    # would stop the server once it is full.
    with tempfile.TemporaryFile("w+") as said:
        command = [sys.executable, "-I", str(_PROGRAM), str(config)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=said, text=True
        )
        try:
            line = process.stdout.readline()
            if not line.startswith("READY"):
                process.wait()
                said.seek(0)
                raise RuntimeError(said.read().strip()[-2000:])
            _, grpc, rest, warmed = line.split(maxsplit=3)
            yield Server(
                process, f"127.0.0.1:{grpc}", f"127.0.0.1:{rest}", json.loads(warmed)
            )
        finally:
            process.kill()
            process.communicate()
