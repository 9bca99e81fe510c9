"""A served model for an hour under all that happens to a server; on loopback, bounded.

    python benchmarks/soak.py --minutes=60
    python benchmarks/soak.py --minutes=5 --malformed=10000

Exports a run (or an untrained T), serves it by the tests' stand-in for a model server,
and sends it, all at once, what a seed draws: good files over gRPC and REST, whose answers
must be the bytes of before; malformed files, tensors and JSON, each of which must be
refused with a status that says so, or be answered; clients that hang up in the middle of
a request or before the answer. Every half minute a new version takes over, and the oldest
is deleted. Prints a line a minute; exit status 1 if an answer was wrong, a request was
lost, a status was none for a wrong request, the server ended, or, after ten minutes and
more, its memory was higher in the last quarter of the time than in the second by more
than a twentieth.
"""

import argparse
import collections
import itertools
import json
import os
import pathlib
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import grpc
import numpy as np
from absl import logging
from tensorflow_serving.apis import prediction_service_pb2_grpc

from load import memory
from load import photos
from runs import untrained
from serving.client import Client
from serving.client import ServingError
from tests import hostile
from tests.serving import servers

_EVERY = 30.0  # Seconds between versions.
_REFUSALS = {
    *("INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND"),
    *("HTTP 400", "HTTP 404", "HTTP 412"),
}


class Soak:
    """What is sent to a server at once, and what came of it.

    Attributes:
        outcomes: (who, what) -> number.
        faults: sentences.
    """

    def __init__(self, server, files, expected, seconds, options):
        self.server, self.files, self.expected = server, files, expected
        self.options, self.seconds = options, seconds
        self.outcomes, self.faults = collections.Counter(), []
        self._lock = threading.Lock()
        self._end = time.monotonic() + seconds

    def _note(self, who, what, fault=None):
        with self._lock:
            self.outcomes[who, what] += 1
            if fault:
                self.faults.append(f"{who}: {fault}"[:300])

    def _rounds(self, number, pause):
        """Counts until the time is over; a generator of its own for each client."""
        random = np.random.default_rng([self.options.seed, number])
        while time.monotonic() < self._end:
            yield random
            time.sleep(pause)

    def run(self):
        """Sends everything until the time is over; returns memory a second, in MB."""
        pause = self.options.pause
        rest = self.seconds / max(1, self.options.malformed) * 3
        threads = [
            threading.Thread(target=self._guarded, args=(work, *arguments), daemon=True)
            for work, *arguments in (
                (self._good, 0, "grpc", pause),
                (self._good, 1, "rest", pause),
                (self._payloads, 2, rest),
                (self._tensors, 3, rest),
                (self._bodies, 4, rest),
                (self._hang_up, 5, pause),
            )
        ]
        for thread in threads:
            thread.start()
        reached, begun = [], time.monotonic()
        while any(thread.is_alive() for thread in threads):
            time.sleep(1.0)
            if self.server.process.poll() is not None:
                self.faults.append("the server ended")
                break
            reached.append(memory(self.server.process))
            if len(reached) % 60 == 0:
                passed = (time.monotonic() - begun) / 60
                sent = sum(self.outcomes.values())
                print(f"{passed:4.0f} min: {sent} sent, {reached[-1]:.0f} MB", flush=True)
        return reached

    def _guarded(self, work, *arguments):
        """Whatever ends a client's work is a fault."""
        try:
            work(*arguments)
        except Exception as error:
            self.faults.append(f"{work.__name__}: {error!r}")

    def _good(self, number, protocol, pause):
        client = Client(getattr(self.server, protocol), protocol=protocol, model="model")
        for random in self._rounds(number, pause):
            which = int(random.integers(len(self.files)))
            try:
                (answer,) = client.translate([self.files[which]])
            except ServingError as error:
                self._note(protocol, error.code, f"a good file was refused: {error}")
                continue
            same = answer == self.expected[which]
            self._note(protocol, "right" if same else "wrong", None if same else "wrong")

    def _payloads(self, number, pause):
        clients = [
            Client(getattr(self.server, name), protocol=name, model="model", retries=0)
            for name in ("grpc", "rest")
        ]
        for i, random in zip(itertools.count(), self._rounds(number, pause)):
            payload = hostile.fuzzed(random, self.files[:2])
            try:
                clients[i % 2].translate([payload])
                self._note("files", "answered")
            except ServingError as error:
                self._judge("files", error.code, str(error))

    def _tensors(self, number, pause):
        channel = grpc.insecure_channel(self.server.grpc)
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for random in self._rounds(number, pause):
            signature, feeds, wanted = hostile.tensors(random, self.files[:2])
            try:
                request = servers.request("model", signature, feeds, wanted)
                stub.Predict(request, timeout=60)
                self._note("tensors", "answered")
            except grpc.RpcError as error:
                shapes = {k: (v.dtype, v.shape) for k, v in feeds.items()}
                what = f"{error.details()} {signature} {shapes}"
                self._judge("tensors", error.code().name, what)

    def _bodies(self, number, pause):
        url = f"http://{self.server.rest}/v1/models/model:predict"
        for random in self._rounds(number, pause):
            contents = hostile.body(random, self.files[:2])
            try:
                with urllib.request.urlopen(url, contents, timeout=60) as response:
                    response.read()
                self._note("bodies", "answered")
            except urllib.error.HTTPError as error:
                with error:
                    said = error.read().decode()
                self._judge("bodies", f"HTTP {error.code}", f"{said} {contents[:200]}")
            except OSError as error:
                self._judge("bodies", str(error), str(contents[:200]))

    def _judge(self, who, code, what):
        is_refusal = code in _REFUSALS
        self._note(who, code, None if is_refusal else f"{code}: {what}")

    def _hang_up(self, number, pause):
        """Breaks off: half a request, or all of it and no ear for the answer."""
        host, port = self.server.rest.split(":")
        channel = grpc.insecure_channel(self.server.grpc)
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        feeds = {"image_bytes": np.array([self.files[0]], object)}
        request = servers.request("model", "serving_default", feeds)
        body = json.dumps({"instances": [[[[0.0] * 3] * 64] * 64]}).encode()
        head = f"POST /v1/models/model:predict HTTP/1.1\r\nContent-Length: {len(body)}"
        whole = f"{head}\r\nHost: {host}\r\n\r\n".encode() + body
        for random in self._rounds(number, pause):
            if random.integers(2):
                call = stub.Predict.future(request)
                time.sleep(random.uniform(0, 0.1))
                call.cancel()
            else:
                length = int(random.integers(len(whole) + 1))
                with socket.create_connection((host, int(port)), 5.0) as connection:
                    connection.sendall(whole[:length])
            self._note("hung up", "")


def publish(models, seconds, told):
    """Makes a new version of the newest again and again, and deletes old ones."""
    end = time.monotonic() + seconds
    while time.monotonic() + _EVERY < end:
        time.sleep(_EVERY)
        numbers = sorted(int(p.name) for p in models.iterdir() if p.name.isdigit())
        part = models / f".part-{numbers[-1] + 1}"
        shutil.copytree(models / str(numbers[-1]), part)
        part.rename(models / str(numbers[-1] + 1))
        for number in numbers[:-2]:
            shutil.rmtree(models / str(number))
        told.append(numbers[-1] + 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run_dir", help="empty: an untrained T")
    parser.add_argument("--width", type=float, default=0.25, help="of the untrained T")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--pause", type=float, default=0.5, help="seconds of a client's")
    parser.add_argument("--malformed", type=int, default=10_000, help="in all that time")
    parser.add_argument("--seed", type=int, default=1)
    values = parser.parse_args()
    logging.set_verbosity(logging.WARNING)
    from pan_tf.export import Export

    seconds = 60 * values.minutes
    with tempfile.TemporaryDirectory() as folder:
        run_dir = values.run_dir or os.path.join(folder, "run")
        if not values.run_dir:
            untrained(run_dir, values.width)
        models = pathlib.Path(folder) / "model"
        Export(run_dir, models).run()
        config = pathlib.Path(folder) / "models.config"
        config.write_text(
            f'model_config_list {{ config {{ name: "model" base_path: "{models}" '
            'model_platform: "tensorflow" } }'
        )
        files, versions = photos(8), []
        with servers.running(config) as server:
            client = Client(server.grpc, protocol="grpc", model="model")
            expected = [client.translate([file])[0] for file in files]
            thread = threading.Thread(target=publish, args=(models, seconds, versions))
            thread.start()
            soak = Soak(server, files, expected, seconds, values)
            reached = soak.run()
            thread.join()
            try:
                again = [client.translate([file])[0] for file in files]
            except ServingError as error:
                again = soak.faults.append(f"afterwards: {error}")
    if again and again != expected:
        soak.faults.append("answers are not those of before")
    quarter = max(1, len(reached) // 4)
    early = statistics.median(reached[quarter : 2 * quarter] or [0])
    late = statistics.median(reached[3 * quarter :] or [0])
    if values.minutes >= 10 and late > 1.05 * early:
        soak.faults.append(f"memory rose from {early:.0f} to {late:.0f} MB")
    for (who, what), number in sorted(soak.outcomes.items()):
        print(f"{who}: {number} {what}")
    print(f"{len(versions)} versions took over; memory {early:.0f}, later {late:.0f} MB")
    for fault, number in collections.Counter(soak.faults).most_common(20):
        print(f"    fault ({number} times): {fault}")
    sys.exit(1 if soak.faults else 0)


if __name__ == "__main__":
    main()
