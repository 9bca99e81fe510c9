"""How long a checkpoint stops a training.

    python benchmarks/checkpoints.py
    python benchmarks/checkpoints.py --recipe=cyclegan --batch_size=1

Rounds at 128 px and full width, on images that are noise. Before every fifth a checkpoint
is saved, in turns while the training waits for its files, and while it goes on. Prints
the size of the files, and medians and [lowest, highest]: of the call that saves, and of
the round after it beside the median of other rounds.
"""

import os
import pathlib
import statistics
import sys
import tempfile
import time

import figures

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import app
from absl import flags

flags.DEFINE_string("recipe", "pan", "Recipe.")
flags.DEFINE_integer("batch_size", 4, "Images in a minibatch.")
flags.DEFINE_integer("saves", 5, "Checkpoints of each kind.")


def main(argv):
    import tensorflow as tf

    from pan_tf import distribution
    from pan_tf import recipes
    from pan_tf.config import Config
    from pan_tf.runs.checkpoints import Checkpoints
    from pan_tf.runs.checkpoints import RunState

    options = flags.FLAGS
    config = Config(dataset="bluemarble", recipe=options.recipe, image_size=128)
    config = config.replace(dtype_policy="auto", batch_size=options.batch_size)
    with distribution.make_strategy().scope():
        model = recipes.build(config)
    model.make_train_function()
    shape = options.batch_size, model.schedule.minibatches, 128, 128, 3
    noise = tf.random.stateless_uniform(shape, (0, 1), -1, 1)

    def timed(call):
        begin = time.perf_counter()
        call()
        return time.perf_counter() - begin

    def round_():
        logs = model.train_function(iter([{"source": noise, "target": -noise}]))
        return [value.numpy() for value in logs.values()]

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        checkpoints = Checkpoints(folder, model, RunState(model), 2)
        for _ in range(2):
            round_()
        others, saves, after = [], {True: [], False: []}, {True: [], False: []}
        for number in range(2 * options.saves):
            wait = number % 2 == 0
            saves[wait].append(timed(lambda wait=wait: checkpoints.save(wait)))
            after[wait].append(timed(round_))
            others += [timed(round_) for _ in range(4)]
            checkpoints.settle()
        size = sum(file.stat().st_size for file in folder.glob("*")) / 2
    usual = statistics.median(others)
    figures.heading()
    print(f"{config.recipe}: files of {size / 2**20:.0f} MiB, rounds of {usual:.2f} s")
    for wait, what in ((True, "waits"), (False, "goes on")):
        call = figures.spread([1000 * s for s in saves[wait]], 0)
        later = figures.spread([1000 * (s - usual) for s in after[wait]], 0)
        print(f"{what:8} the call {call} ms; the round after it takes {later} ms longer")


if __name__ == "__main__":
    app.run(main)
