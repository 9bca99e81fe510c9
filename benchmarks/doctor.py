"""How many misaligned pairs the doctor finds: shifts injected into real, aligned pairs.

    python benchmarks/doctor.py                                # Blue Marble
    python benchmarks/doctor.py --data_dir=my_pairs --draws=5  # a folder's training pairs

In each draw 5 % of the pairs are shifted by 8 px, in a random direction, by cropping both
sides to what they share, and the doctor learns and judges anew. Recall is the share of
these that it names; false alarms are the share of the others. Draw 0 injects nothing.
"""

import concurrent.futures
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import threadpoolctl
from absl import app
from absl import flags

from pan_tf import doctor
from pan_tf.data.layouts import bluemarble
from pan_tf.doctor.alignment import Aligner

flags.DEFINE_string("data_dir", None, "Folder of pairs; empty: Blue Marble.")
flags.DEFINE_integer("image_size", 256, "Of Blue Marble's tiles.")
flags.DEFINE_integer("draws", 5, "How often to inject.")
flags.DEFINE_float("share", 0.05, "Of the pairs, to shift.")
flags.DEFINE_float("shift", 8.0, "Pixels.")


def shifted(pair, angle, size):
    """The pair with B moved by `size` px, both sides cropped to what they share."""
    dy, dx = round(size * np.sin(angle)), round(size * np.cos(angle))
    a, b = pair
    height, width = a.shape[:2]
    return (
        a[max(-dy, 0) : height - max(dy, 0), max(-dx, 0) : width - max(dx, 0)],
        b[max(dy, 0) : height - max(-dy, 0), max(dx, 0) : width - max(-dx, 0)],
    )


def main(argv):
    if flags.FLAGS.data_dir:
        found, _ = doctor.of_folder(flags.FLAGS.data_dir)
        pairs = [item.load() for item in found if item.split == "train"]
    else:
        tiles = bluemarble.cut("train", flags.FLAGS.image_size)
        pairs = list(zip(tiles.source, tiles.target, strict=True))
    print(f"{len(pairs)} pairs")
    rates = []
    for draw in range(flags.FLAGS.draws + 1):
        random, mixed = np.random.default_rng(draw), list(pairs)
        count = round(flags.FLAGS.share * len(pairs)) if draw else 0
        moved = set(random.permutation(len(pairs))[:count].tolist())
        for i in moved:
            mixed[i] = shifted(pairs[i], random.uniform(0, 2 * np.pi), flags.FLAGS.shift)
        start = time.perf_counter()
        with (
            threadpoolctl.threadpool_limits(1),
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool,
        ):
            aligner = Aligner(mixed)
            middle = time.perf_counter()
            estimates = list(pool.map(aligner.estimate, *zip(*mixed, strict=True)))
        end = time.perf_counter()
        named = {i for i, estimate in enumerate(estimates) if estimate.misaligned}
        false = len(named - moved) / (len(pairs) - len(moved))
        recall = len(named & moved) / len(moved) if moved else float("nan")
        rates.append((recall, false))
        print(
            f"draw {draw}: recall {recall:.3f}, false alarms {false:.3f}; learning "
            f"{middle - start:.0f} s, {(end - middle) / len(pairs):.3f} s a pair",
            flush=True,
        )
    recalls, falses = np.array(rates[1:]).T
    print(
        f"mean of {len(recalls)} draws: recall {recalls.mean():.3f} (worst "
        f"{recalls.min():.3f}), false alarms {falses.mean():.3f} (worst "
        f"{falses.max():.3f}); untouched {rates[0][1]:.3f}"
    )


if __name__ == "__main__":
    app.run(main)
