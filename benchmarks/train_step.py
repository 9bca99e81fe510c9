"""One round of PAN, ours beside plain PyTorch: speed, memory, share of the hardware.

    pip install -e '.[benchmark]'        (torch; the CPU build will do)
    python benchmarks/train_step.py
    python benchmarks/train_step.py --profile        (where our time goes)

`pan_literal`, the paper's networks and losses, at full width, batch 4, an update of D and
three of T, on random images that are in memory. Each side is a process of its own; they
take turns, round by round, so that a noisy machine is noisy for all. All start from the
same weights and images, and the losses of the first round are compared: it is the same
step. Printed are medians and [lowest, highest].

images/s counts the images of a round's minibatches: four minibatches where each update
has a fresh one, one where all share it. "GiB" is the process's peak of memory, "before"
what it had taken before the first round: libraries, weights, images. "share" is the
arithmetic of the round's convolutions over its median time, as a share of what the
fastest side reaches in one large convolution (3x3, 256 -> 256, 64 px, batch 4). "ours" is
how many times as fast pan_tf is, round by round.

On a reused minibatch `torch` makes every pass that it makes on fresh ones;
`torch_sharing` keeps T's output and D's features while they hold, as pan_tf does.
`torch_compiled` has all that PyTorch has: `torch.compile`, which needs a C++ compiler and
minutes, channels-last tensors, a fused Adam; on a reused minibatch it shares, too.
"""

import argparse
import collections
import itertools
import os
import pathlib
import statistics
import sys
import tempfile

import figures
import side_by_side

ROOT = pathlib.Path(__file__).resolve().parents[1]
BATCH = 4
# GMAC of one image's forward pass at 256 px; they go with the number of pixels.
D_GMAC, T_GMAC = 11.6, 3.1
CONV_GMAC = BATCH * 64 * 64 * 9 * 256 * 256 / 1e9


def images(size, minibatches):
    """Source and target, float32 `[B, N, H, W, 3]` in [-1, 1]."""
    import numpy as np

    rng = np.random.default_rng(0)
    shape = (2, BATCH, minibatches, size, size, 3)
    return rng.uniform(-1, 1, shape).astype("float32")


SIDES = {
    "fresh": ("pan_tf", "torch", "torch_channels_last", "torch_compiled"),
    "reused": ("pan_tf", "torch", "torch_sharing", "torch_compiled"),
}


def gmac(size, shared):
    """Arithmetic of a round. A backward pass counts as one forward pass for the gradient
    of the images and one for that of the weights, where an update needs them.
    """
    d, t = (13, 9) if shared else (15, 10)
    return BATCH * (d * D_GMAC + t * T_GMAC) * (size / 256) ** 2


class Ours:
    """`recipes.build("pan_literal")`, compiled as training compiles it."""

    def __init__(self, options):
        sys.path.insert(0, str(ROOT))
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        from pan_tf import recipes
        from pan_tf import runtime
        from pan_tf.config import Config

        runtime.prepare()
        config = Config(
            recipe="pan_literal",
            image_size=options.size,
            reuse_minibatch=options.reuse,
            dtype_policy="mixed_bfloat16" if options.bfloat16 else "float32",
        )
        self.model = recipes.build(config)
        self.model.make_train_function()
        source, target = images(options.size, self.model.schedule.minibatches)
        batch = {"source": tf.constant(source), "target": tf.constant(target)}
        self.batches = iter(lambda: batch, None)
        self._convolution = self._make_convolution(tf, options)

    def save(self, path):
        """Exports the weights under PyTorch's names and in its order of axes."""
        import numpy as np

        names = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean"}
        names |= {"kernel": "weight", "moving_variance": "running_var"}
        weights = {}
        for prefix, network in (
            ("t", self.model.transformer),
            ("d", self.model.discriminator),
        ):
            for layer in network.layers:
                for variable in layer.variables:
                    value = np.array(variable)
                    if value.ndim == 4:
                        # Of both: (in, out) of a transposed one, hence one order.
                        value = value.transpose(3, 2, 0, 1)
                    elif value.ndim == 2:
                        value = value.transpose()
                    name = names.get(variable.name, variable.name)
                    weights[f"{prefix}.{layer.name}.{name}"] = np.ascontiguousarray(value)
        np.savez(path, **weights)

    def load(self, path):
        pass

    def round(self):
        return {k: float(v) for k, v in self.model.train_function(self.batches).items()}

    def _make_convolution(self, tf, options):
        dtype = tf.bfloat16 if options.bfloat16 else tf.float32
        x = tf.cast(tf.random.normal((BATCH, 64, 64, 256)), dtype)
        kernel = tf.cast(tf.random.normal((3, 3, 256, 256)), dtype)

        @tf.function
        def convolve(x):
            return tf.nn.conv2d(x, kernel, 1, "SAME")

        return lambda: convolve(x)

    def convolution(self):
        return self._convolution()


class Theirs:
    """`pytorch_pan.Pan`."""

    def __init__(self, options):
        import torch

        from pytorch_pan import Pan

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        self.reuse = options.reuse
        compiled = options.side == "torch_compiled"
        self.pan = Pan(
            options.size,
            bfloat16=options.bfloat16,
            channels_last=compiled or options.side == "torch_channels_last",
            sharing=compiled or options.side == "torch_sharing",
            compiled=compiled,
        )
        both = images(options.size, 1 if options.reuse else 4)
        self.batch = [torch.from_numpy(x).permute(0, 1, 4, 2, 3) for x in both]
        dtype = torch.bfloat16 if options.bfloat16 else torch.float32
        x = torch.randn(BATCH, 256, 64, 64).to(dtype, memory_format=self.pan.format)
        kernel = torch.randn(256, 256, 3, 3).to(dtype, memory_format=self.pan.format)

        def convolve():
            with torch.no_grad():
                return torch.nn.functional.conv2d(x, kernel, padding=1)

        self.convolution = convolve

    def load(self, path):
        import numpy as np

        self.pan.load(np.load(path))

    def round(self):
        return self.pan.round(self.batch, self.reuse)


KINDS = {
    "convolutions": ("Conv2D", "Conv2DWithBias"),
    "their gradients for images, transposed convolutions": ("Conv2DBackpropInput",),
    "their gradients for weights": (
        "Conv2DBackpropFilter",
        "Conv2DBackpropFilterWithBias",
    ),
    "batch normalization: sums, gradient": (
        "BatchMatMulV2",
        "FusedBatchNormGradV3",
        "SquaredDifference",
    ),
    "activations": ("LeakyRelu", "LeakyReluGrad", "Relu", "ReluGrad", "Tanh", "TanhGrad"),
    "padding and its gradient": ("Pad", "Slice"),
    "Adam": ("ResourceApplyAdam",),
}


def profile(size, dtype, minibatches):
    """Prints how the kernels of one round share its time, one at a time."""
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    side = Ours(
        argparse.Namespace(
            size=size, bfloat16=dtype == "bfloat16", reuse=minibatches == "reused"
        )
    )
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    for _ in range(2):
        side.round()
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            side.round()
        (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
    spent = collections.Counter()
    for plane in space.planes:
        for line in plane.lines if "host:CPU" in plane.name else ():
            for event in line.events:
                node, _, op = plane.event_metadata[event.metadata_id].name.rpartition(":")
                # Other events are nested around those of kernels, "node:Op".
                if (
                    node
                    and not node.endswith(":")
                    and (op[:1] == "_" or op[:1].isupper())
                ):
                    spent[op.removeprefix("_MklNative")] += event.duration_ps / 1e9
    total, named = sum(spent.values()), 0.0
    print(f"{size} px, {dtype}, {minibatches}: {total:.0f} ms of kernels in a round")
    for kind, ops in KINDS.items():
        time_of_kind = sum(ms for op, ms in spent.items() if op in ops)
        named += time_of_kind
        print(f"{kind:54}{time_of_kind / total:6.1%}")
    print(f"{'everything else':54}{1 - named / total:6.1%}")


def compare(size, dtype, minibatches, rounds):
    """Runs one setting, prints its rows; by how much first losses differ, relatively."""
    reuse = minibatches == "reused"
    workers = {
        side: side_by_side.Worker(
            __file__,
            f"--side={side}",
            f"--size={size}",
            *["--reuse"] * reuse,
            *["--bfloat16"] * (dtype == "bfloat16"),
        )
        for side in SIDES[minibatches]
    }
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder) / "weights.npz")
        workers["pan_tf"].ask(f"save {path}")
        before = {
            s: worker.ask(f"load {path}")["memory"] for s, worker in workers.items()
        }
    first = {side: worker.ask("round")["answer"] for side, worker in workers.items()}
    for worker in workers.values():
        worker.ask("round")
    seconds = {side: [] for side in workers}
    convolutions = []
    for _ in range(rounds):
        for side, worker in workers.items():
            convolutions += [worker.ask("convolution")["seconds"] for _ in range(4)]
            seconds[side].append(worker.ask("round")["seconds"])
    peak = CONV_GMAC / min(convolutions)
    for side, worker in workers.items():
        median = statistics.median(seconds[side])
        rate = gmac(size, reuse and side != "torch") / median
        times = [b / a for a, b in zip(seconds["pan_tf"], seconds[side], strict=True)]
        figures.row(
            size,
            dtype,
            minibatches,
            side,
            f"{BATCH * (1 if reuse else 4) / median:.2f}",
            figures.spread(seconds[side]),
            f"{rate / peak:.0%}",
            "" if side == "pan_tf" else figures.spread(times),
            f"{worker.ask('convolution')['memory']:.1f}",
            f"{before[side]:.1f}",
        )
        worker.close()
    return max(
        abs(first["torch"][k] - first["pan_tf"][k]) / abs(first["torch"][k])
        for k in first["torch"]
        if first["torch"][k]
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
    parser.add_argument(
        "--minibatches", nargs="+", default=list(SIDES), choices=list(SIDES)
    )
    parser.add_argument("--rounds", type=int, default=5)
    for flag in ("--side", "--size"):
        parser.add_argument(flag, help=argparse.SUPPRESS)
    for flag in ("--reuse", "--bfloat16"):
        parser.add_argument(flag, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--profile", action="store_true", help="of pan_tf alone")
    options = parser.parse_args()
    if options.profile:
        for size in options.sizes:
            profile(size, options.dtypes[0], options.minibatches[0])
        return
    if options.side:
        options.size = int(options.size)
        side_by_side.serve((Ours if options.side == "pan_tf" else Theirs)(options))
        return
    figures.heading("torch")
    titles = (
        "px, precision, minibatches, side, images/s, s a round, share, ours, GiB, before"
    )
    figures.columns(*titles.split(", "))
    kinds = itertools.product(options.sizes, options.dtypes, options.minibatches)
    gaps = [compare(*kind, options.rounds) for kind in kinds]
    print(f"Losses of a first round differ by {max(gaps):.1e} of themselves at most.")


if __name__ == "__main__":
    side_by_side.begin()
    main()
