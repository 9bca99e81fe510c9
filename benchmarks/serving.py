"""The exported SavedModel beside ONNX Runtime, on the same T; and its cold start.

    pip install -e '.[benchmark]' && python benchmarks/serving.py
    python benchmarks/serving.py --run_dir=runs/pan-maps-256

Images of 256 px, one and a batch of eight, float32, `--threads` threads each. TensorFlow
runs the signature `float_image` as a server does (C++ session, variables, any size); ONNX
Runtime runs T as trained and as optimized by the export, converted by tf2onnx, and its
faster one counts. They take turns in random order, each called once unmeasured before the
call that counts, since ONNX Runtime's threads go on spinning for a while. Without
--run_dir, T has the paper's channels and was not trained.
"""

import itertools
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

import figures

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import app
from absl import flags
from absl import logging

flags.DEFINE_string("run_dir", None, "Run folder; empty: an untrained T, full width.")
flags.DEFINE_integer("rounds", 40, "Measured calls of each.", lower_bound=3)
flags.DEFINE_integer("threads", 2, "Of each side.")
flags.DEFINE_string("cold", None, "Internal: kind and path of what one process starts.")


def tensorflow(saved_model, threads):
    """A function of float32 `[B, H, W, 3]` that calls `float_image`."""
    import tensorflow as tf

    config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=threads)
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph, config=config)
    with graph.as_default():
        load = tf.compat.v1.saved_model.loader.load
        signature = load(session, ["serve"], saved_model).signature_def["float_image"]
    names = signature.outputs["image"].name, [signature.inputs["image"].name]
    return session.make_callable(*names)


def onnx_runtime(path, threads):
    """The same of a converted T."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    return lambda image: session.run(None, {"image": image})[0]


def convert(network, path):
    """T as ONNX, for images of any size and batches of any length."""
    import tensorflow as tf
    import tf2onnx

    spec = tf.TensorSpec((None, None, None, 3), tf.float32, "image")
    function = tf.function(
        lambda image: network(image, training=False), input_signature=[spec]
    )
    tf2onnx.convert.from_function(function, [spec], opset=17, output_path=path)


def compare(sides, batch, rounds):
    """Seconds of every round, by side."""
    import numpy as np

    generator = np.random.default_rng(batch)
    source = generator.uniform(-1, 1, (batch, 256, 256, 3)).astype(np.float32)
    outputs = [side(source) for side in sides.values()]
    gap = max(np.abs(output - outputs[0]).max() for output in outputs)
    seconds = {name: [] for name in sides}
    for _ in range(rounds):
        for name in random.sample(list(sides), len(sides)):
            time.sleep(0.02)
            sides[name](source)
            begin = time.perf_counter()
            sides[name](source)
            seconds[name].append(time.perf_counter() - begin)
    return seconds, gap


def cold(kind, path):
    """Prints how long a fresh process takes to import, to load, and to answer twice."""
    import numpy as np

    source = np.zeros((1, 256, 256, 3), np.float32)
    times = [time.perf_counter()]
    __import__({"TensorFlow": "tensorflow", "ONNX Runtime": "onnxruntime"}[kind])
    times.append(time.perf_counter())
    side = {"TensorFlow": tensorflow, "ONNX Runtime": onnx_runtime}[kind](path, 2)
    times.append(time.perf_counter())
    for _ in range(2):
        side(source)
        times.append(time.perf_counter())
    print(json.dumps([b - a for a, b in itertools.pairwise(times)]))


def cold_starts(paths):
    figures.columns(
        "s, cold", "import", "load", "first answer", "second", "load and first answer"
    )
    for kind, path in paths.items():
        command = [sys.executable, __file__, "--cold", f"{kind}={path}"]
        runs = [
            json.loads(
                subprocess.run(
                    command, capture_output=True, text=True, check=True
                ).stdout.splitlines()[-1]
            )
            for _ in range(5)
        ]
        parts = [*zip(*runs, strict=True), [run[1] + run[2] for run in runs]]
        figures.row(kind, *map(figures.spread, parts))


def ready(export_dir, folder):
    """Seconds until the stand-in of a server, with its warm-up requests, is ready."""
    from tests.serving import servers

    config = pathlib.Path(folder) / "models.config"
    config.write_text(
        f'model_config_list {{ config {{ name: "model" base_path: "{export_dir}" '
        'model_platform: "tensorflow" } }'
    )
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        with servers.running(config):
            seconds.append(time.perf_counter() - begin)
    return figures.spread(seconds, 1)


def main(argv):
    if flags.FLAGS.cold:
        return cold(*flags.FLAGS.cold.split("=", 1))
    logging.set_verbosity(logging.WARNING)
    from pan_tf.export import Export
    from pan_tf.export import optimization
    from runs import untrained

    figures.heading("onnxruntime", "tf2onnx")
    with tempfile.TemporaryDirectory() as folder:
        run_dir = flags.FLAGS.run_dir or os.path.join(folder, "run")
        if not flags.FLAGS.run_dir:
            untrained(run_dir)
        export_dir = os.path.join(folder, "model")
        export = Export(run_dir, export_dir)
        path, report = export.run()
        print({name: row["largest_difference"] for name, row in report.items()})
        network, threads = export.translator.network, flags.FLAGS.threads
        converted = {name: os.path.join(folder, f"{name}.onnx") for name in ("T", "opt")}
        convert(network, converted["T"])
        # ONNX Runtime orders kernels by itself: none in blocks.
        optimization._CONSTANTS, optimization._LARGE = 0, float("inf")
        convert(optimization.optimized(network), converted["opt"])
        sides = {
            "SavedModel": tensorflow(str(path), threads),
            "ONNX Runtime, T as trained": onnx_runtime(converted["T"], threads),
            "ONNX Runtime, T optimized": onnx_runtime(converted["opt"], threads),
        }
        for batch in (1, 8):
            rounds = max(3, flags.FLAGS.rounds // (1 if batch == 1 else 3))
            seconds, gap = compare(sides, batch, rounds)
            ours, *theirs = seconds.values()
            best = min(theirs, key=statistics.median)
            ratios = sorted(b / a for a, b in zip(ours, best, strict=True))
            print(f"batch {batch}, {rounds} rounds, largest difference {gap:.1e}:")
            for name, values in seconds.items():
                print(
                    f"    {name:28} median {1e3 * statistics.median(values):7.1f} ms, "
                    f"fastest {1e3 * min(values):7.1f} ms"
                )
            low, middle, high = statistics.quantiles(ratios, n=4)
            print(
                f"    times the faster ONNX Runtime: {middle:.2f} (middle half {low:.2f} "
                f"to {high:.2f}), of the fastest calls {min(best) / min(ours):.2f}"
            )
        sides.clear()
        cold_starts({"TensorFlow": str(path), "ONNX Runtime": converted["T"]})
        seconds = ready(export_dir, folder)
        print(f"stand-in server, start to ready, with warm-up: {seconds} s")


if __name__ == "__main__":
    app.run(main)
