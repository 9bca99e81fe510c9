"""A served model under load, and under attack; on this machine only, and bounded.

    python benchmarks/load.py --run_dir=runs/quickstart
    python benchmarks/load.py --run_dir=runs/quickstart --fuzz=10000 --seconds=0

Exports the run, starts the tests' stand-in for a model server on loopback, and sends it
PNG files of 256 px from 1, 8 and 32 clients at once, by gRPC and by REST: throughput,
latency and errors. Then one request of 2048 x 2048 px, the default limit of an export,
which is what the server must be given memory for. Last, seeded malformed and hostile
payloads, one after the other: each must be refused with INVALID_ARGUMENT or answered;
afterwards the server must be alive, its memory no higher than that one request took it,
and a good request must give the very bytes that it gave before.
"""

import collections
import os
import pathlib
import random
import statistics
import sys
import tempfile
import threading
import time

import figures

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import app
from absl import flags
from absl import logging

flags.DEFINE_string("run_dir", None, "Run folder; empty: an untrained T.")
flags.DEFINE_float("width", 1.0, "Multiplies the channels of the untrained T.")
flags.DEFINE_list("clients", ["1", "8", "32"], "Numbers of clients at once.")
flags.DEFINE_float("seconds", 20.0, "Of load for each row; 0: none.")
flags.DEFINE_integer("fuzz", 10_000, "Malformed and hostile payloads; 0: none.")
flags.DEFINE_integer("seed", 1, "Of the payloads.")


def photos(count):
    """PNG files of Blue Marble, 256 px."""
    from pan_tf.data.layouts import bluemarble
    from tests.hostile import encoded

    tiles = bluemarble.cut("test", 256)
    return [encoded(pixels) for pixels in tiles.source[:count]]


def memory(process, peak=False):
    """Megabytes that a process holds, or held at most."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    name = "VmHWM:" if peak else "VmRSS:"
    (line,) = [line for line in status.splitlines() if line.startswith(name)]
    return int(line.split()[1]) / 1000


def load(server, protocol, num_clients, seconds, files):
    """Every client sends one file after the other; prints a row."""
    from serving.client import Client
    from serving.client import ServingError

    address, latencies, errors = getattr(server, protocol), [], collections.Counter()
    end = time.monotonic() + seconds

    def run(number):
        client = Client(address, protocol=protocol, model="model", timeout=60)
        generator = random.Random(number)
        while time.monotonic() < end:
            begin = time.perf_counter()
            try:
                client.translate([generator.choice(files)])
                latencies.append(time.perf_counter() - begin)
            except ServingError as error:
                errors[error.code] += 1

    threads = [threading.Thread(target=run, args=(i,)) for i in range(num_clients)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    passed = time.perf_counter() - begin
    ordered = sorted(latencies)
    last = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    print(
        f"{protocol:5} {num_clients:3} clients: {len(ordered) / passed:5.1f} images/s, "
        f"p50 {1e3 * statistics.median(ordered):6.0f} ms, p99 {1e3 * last:6.0f} ms, "
        f"{len(ordered)} answers, errors {dict(errors) or 0}, "
        f"{memory(server.process):.0f} MB",
        flush=True,
    )


def fuzz(server, count, seed, files):
    """Sends malformed payloads, prints what became of them; is all well?"""
    import numpy as np

    from serving.client import Client
    from serving.client import ServingError
    from tests import hostile

    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (64, 64, 3), np.uint8)
    good = [
        hostile.encoded(pixels),
        hostile.encoded(pixels, "JPEG"),
        hostile.encoded(pixels[..., 0]),
        *files[:1],
    ]
    known = [payload for payload, _ in hostile.refused(pixels).values()]
    clients = [
        Client(getattr(server, protocol), protocol=protocol, model="model", retries=0)
        for protocol in ("grpc", "rest")
    ]
    before = clients[0].translate(files)
    outcomes = collections.Counter()
    highest = memory(server.process, peak=True)
    for number in range(count):
        if number % 20 == 0:
            payload = known[number // 20 % len(known)]
        else:
            payload = hostile.fuzzed(generator, good)
        try:
            clients[number % 2].translate([payload])
            outcomes["answered"] += 1
        except ServingError as error:
            outcomes[error.code] += 1
        if number and number % (count // 5) == 0:
            print(f"    {number}: {memory(server.process):.0f} MB", flush=True)
    reached = memory(server.process, peak=True)
    same = clients[0].translate(files) == before == clients[1].translate(files)
    alive = server.process.poll() is None
    print(
        f"{count} payloads (seed {seed}): {dict(outcomes)}; server alive: {alive}; "
        f"highest memory before {highest:.0f}, after {reached:.0f} MB; same answers as "
        f"before: {same}"
    )
    expected = {"answered", "INVALID_ARGUMENT", "HTTP 400"}
    return alive and same and set(outcomes) <= expected and reached < 1.1 * highest


def largest(server):
    """One request of as many pixels as an export takes; prints what it costs."""
    import numpy as np
    from PIL import Image

    from serving.client import Client
    from tests.hostile import encoded

    client = Client(server.grpc, protocol="grpc", model="model", timeout=300)
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    file = encoded(Image.fromarray(noise).resize((2048, 2048)))
    begin = time.perf_counter()
    client.translate([file])
    print(
        f"2048 x 2048 px, {len(file) / 1e6:.1f} MB: {time.perf_counter() - begin:.1f} s, "
        f"at most {memory(server.process, peak=True):.0f} MB",
        flush=True,
    )


def main(_):
    logging.set_verbosity(logging.WARNING)
    from pan_tf.export import Export
    from runs import untrained
    from tests.serving import servers

    figures.heading()
    values = flags.FLAGS
    with tempfile.TemporaryDirectory() as folder:
        run_dir = values.run_dir or os.path.join(folder, "run")
        if not values.run_dir:
            untrained(run_dir, values.width)
        export_dir = os.path.join(folder, "model")
        Export(run_dir, export_dir).run()
        config = pathlib.Path(folder) / "models.config"
        config.write_text(
            f'model_config_list {{ config {{ name: "model" base_path: "{export_dir}" '
            'model_platform: "tensorflow" } }'
        )
        files = photos(8)
        with servers.running(config) as server:
            print(f"ready, {memory(server.process):.0f} MB", flush=True)
            if values.seconds:
                for protocol in ("grpc", "rest"):
                    for number in map(int, values.clients):
                        load(server, protocol, number, values.seconds, files)
            largest(server)
            if values.fuzz and not fuzz(server, values.fuzz, values.seed, files):
                sys.exit("The server did not stand it.")


if __name__ == "__main__":
    app.run(main)
