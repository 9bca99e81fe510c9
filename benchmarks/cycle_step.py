"""One step of CycleGAN, ours beside plain PyTorch: speed and memory.

    pip install -e '.[benchmark]'        (torch; the CPU build will do)
    python benchmarks/cycle_step.py

The recipe `cyclegan` at full width: two Ts of nine residual blocks, two Ds, the losses,
updates and image histories of the authors' code, on random images that are in memory.
Each side is a process of its own; they take turns, step by step, so that a noisy machine
is noisy for all. All start from the same weights and images, and the losses of the first
step are compared: it is the same step. Printed are medians and [lowest, highest].

"GiB" is the process's peak of memory. "ours" is how many times as fast pan_tf is, step by
step. `torch_compiled` has `torch.compile`, which needs a C++ compiler and minutes,
channels-last tensors and a fused Adam.
"""

import argparse
import itertools
import os
import pathlib
import statistics
import sys
import tempfile

import figures
import side_by_side

ROOT = pathlib.Path(__file__).resolve().parents[1]
SIDES = ("pan_tf", "torch", "torch_channels_last", "torch_compiled")


def images(size, batch_size):
    """Source and target, float32 `[B, H, W, 3]` in [-1, 1]."""
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (2, batch_size, size, size, 3)).astype("float32")


class Ours:
    """`recipes.build("cyclegan")`, compiled as training compiles it."""

    def __init__(self, options):
        sys.path.insert(0, str(ROOT))
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        from pan_tf import recipes
        from pan_tf import runtime
        from pan_tf.config import Config

        runtime.prepare()
        config = Config(
            recipe="cyclegan",
            image_size=options.size,
            batch_size=options.batch_size,
            dtype_policy="mixed_bfloat16" if options.bfloat16 else "float32",
        )
        self.model = recipes.build(config)
        self.model.make_train_function()
        source, target = images(options.size, options.batch_size)[:, :, None]
        batch = {"source": tf.constant(source), "target": tf.constant(target)}
        self.batches = iter(lambda: batch, None)

    def save(self, path):
        """Exports the weights in PyTorch's order of axes."""
        import numpy as np

        weights = {}
        for name, network in self.model.networks.items():
            layers = [layer for layer in network.layers if hasattr(layer, "kernel")]
            for number, layer in enumerate(layers):
                # Of both: (in, out) of a transposed one, hence one order.
                kernel = np.array(layer.kernel).transpose(3, 2, 0, 1)
                weights[f"{name}.{number}.weight"] = np.ascontiguousarray(kernel)
                weights[f"{name}.{number}.bias"] = np.array(layer.bias)
        np.savez(path, **weights)

    def load(self, path):
        pass

    def step(self):
        return {k: float(v) for k, v in self.model.train_function(self.batches).items()}


class Theirs:
    """`pytorch_cycle.CycleGAN`."""

    def __init__(self, options):
        import torch

        from pytorch_cycle import CycleGAN

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        compiled = options.side == "torch_compiled"
        channels_last = compiled or options.side == "torch_channels_last"
        self.model = CycleGAN(options.bfloat16, channels_last, compiled)
        both = images(options.size, options.batch_size)
        self.batch = [torch.from_numpy(x).permute(0, 3, 1, 2) for x in both]

    def load(self, path):
        import numpy as np

        self.model.load(np.load(path))

    def step(self):
        return self.model.step(*self.batch)


def compare(size, dtype, batch_size, rounds):
    """Runs one setting, prints its rows; by how much first losses differ, relatively."""
    workers = {
        side: side_by_side.Worker(
            __file__,
            f"--side={side}",
            f"--size={size}",
            f"--batch_size={batch_size}",
            *["--bfloat16"] * (dtype == "bfloat16"),
        )
        for side in SIDES
    }
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder) / "weights.npz")
        workers["pan_tf"].ask(f"save {path}")
        for worker in workers.values():
            worker.ask(f"load {path}")
    first = {side: worker.ask("step")["answer"] for side, worker in workers.items()}
    for worker in workers.values():
        worker.ask("step")
    seconds = {side: [] for side in workers}
    memory = {}
    for _ in range(rounds):
        for side, worker in workers.items():
            found = worker.ask("step")
            seconds[side].append(found["seconds"])
            memory[side] = found["memory"]
    for side, worker in workers.items():
        median = statistics.median(seconds[side])
        times = [b / a for a, b in zip(seconds["pan_tf"], seconds[side], strict=True)]
        figures.row(
            size,
            dtype,
            batch_size,
            side,
            f"{batch_size / median:.2f}",
            figures.spread(seconds[side]),
            "" if side == "pan_tf" else figures.spread(times),
            f"{memory[side]:.1f}",
        )
        worker.close()
    return max(
        abs(value - first["pan_tf"][name]) / abs(value)
        for name, value in first["torch"].items()
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256])
    parser.add_argument(
        "--dtypes",
        nargs="+",
        default=["float32", "bfloat16"],
        choices=["float32", "bfloat16"],
    )
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=7)
    for flag, kind in (("--side", str), ("--size", int), ("--batch_size", int)):
        parser.add_argument(flag, type=kind, help=argparse.SUPPRESS)
    parser.add_argument("--bfloat16", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        side_by_side.serve((Ours if options.side == "pan_tf" else Theirs)(options))
        return
    figures.heading("torch")
    titles = "px, precision, batch, side, images/s, s a step, ours, GiB"
    figures.columns(*titles.split(", "))
    kinds = itertools.product(options.sizes, options.dtypes, options.batch_sizes)
    gaps = [compare(*kind, options.rounds) for kind in kinds]
    print(f"Losses of a first step differ by {max(gaps):.1e} of themselves at most.")


if __name__ == "__main__":
    side_by_side.begin()
    main()
