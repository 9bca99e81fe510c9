"""Peak memory of training, by recipe, size and how a batch is taken.

    python benchmarks/memory.py
    python benchmarks/memory.py --recipes pan --sizes 512 --batch_size 8

Two rounds of the recipe at full width on noise, each kind in a process of its own: the
batch at once; the same with `--recompute`, in bfloat16, one by one with `--accumulate`,
with all three; and a batch of one image. Prints a table in GiB; in the last column what a
process has before its first round. docs/costs.md has the outcome.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

import figures

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def measure(job):
    """One process: trains, prints JSON."""
    import tensorflow as tf

    from pan_tf import distribution
    from pan_tf import recipes
    from pan_tf.config import Config
    from pan_tf.runs.callbacks import peak_memory

    config = Config(dataset="bluemarble", **job)
    with distribution.make_strategy().scope():
        model = recipes.build(config)
    model.make_train_function()
    before = peak_memory()
    shape = config.batch_size, model.schedule.minibatches, *config.image_size, 3
    noise = tf.random.stateless_uniform(shape, (0, 1), -1, 1)
    for _ in range(2):
        logs = model.train_function(iter([{"source": noise, "target": -noise}]))
        [value.numpy() for value in logs.values()]
    print(json.dumps({"before": before, "peak": peak_memory()}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    recipes = ["pan", "pan_plus", "pix2pix", "pix2pixhd"]
    parser.add_argument("--recipes", nargs="+", default=recipes)
    parser.add_argument("--sizes", nargs="+", type=int, default=[256, 512])
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--kinds", nargs="+", help="only these columns, by their names")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        return measure(json.loads(options.job))
    batch = options.batch_size
    kinds = {
        f"{batch} at once": {"batch_size": batch},
        "recompute": {"batch_size": batch, "recompute": True},
        "bfloat16": {"batch_size": batch, "dtype_policy": "mixed_bfloat16"},
        f"accumulate {batch}": {"batch_size": 1, "accumulate": batch},
        "all three": {
            "batch_size": 1,
            "accumulate": batch,
            "recompute": True,
            "dtype_policy": "mixed_bfloat16",
        },
        "1 at once": {"batch_size": 1},
    }
    kinds = {name: kinds[name] for name in options.kinds or kinds}
    figures.heading()
    figures.columns("recipe", "px", *kinds, "before")
    for recipe in options.recipes:
        for size in options.sizes:
            cells = []
            for kind in kinds.values():
                job = json.dumps({"recipe": recipe, "image_size": size, **kind})
                command = [sys.executable, __file__, "--job", job]
                found = subprocess.run(command, check=True, stdout=subprocess.PIPE)
                found = json.loads(found.stdout.splitlines()[-1])
                cells.append(f"{found['peak']:.1f}")
            figures.row(f"`{recipe}`", size, *cells, f"{found['before']:.1f}")


if __name__ == "__main__":
    main()
