"""A folder of 100 000 pairs: from the command to the first step, and what goes on beside.

    python benchmarks/many_pairs.py
    python benchmarks/many_pairs.py --pairs=400
    python benchmarks/many_pairs.py --shards=32 --first_only

Hard links to forty pairs of 256 x 256 px, side by side in JPEG files. Prints how long
listing them takes, when `train` has done its first round (medians and [lowest, highest]),
then its pace while files are still read and without, how long reading all takes, and the
memory of the process. With --shards the same of shards that are made of the folder, which
take some gigabytes of disk.
"""

import json
import os
import pathlib
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

flags.DEFINE_integer("pairs", 100_000, "Files in the folder.")
flags.DEFINE_integer("iterations", 12000, "Of training; enough for all files to be read.")
flags.DEFINE_integer("shards", None, "Shards to make of the folder, and to train on.")
flags.DEFINE_integer("turns", 3, "Times that listing and the first round are measured.")
flags.DEFINE_bool("first_only", False, "No training beyond the first round.")


def main(argv):
    from PIL import Image

    from pan_tf.data.layouts import listing
    from pan_tf.data.layouts import shards
    from runs import picture

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "train").mkdir()
        world = picture(1024)
        for number in range(flags.FLAGS.pairs):
            path = folder / "train" / f"{number:06d}.jpg"
            if number < 40:
                top, left = (number * 17) % 768, (number * 29) % 512
                pixels = world[top : top + 256, left : left + 512]
                Image.fromarray(pixels).save(path, quality=92)
            else:
                os.link(folder / "train" / f"{number % 40:06d}.jpg", path)
        figures.heading()
        turns = flags.FLAGS.turns
        timed("listing", lambda: listing.find(folder, "train"), turns)
        if count := flags.FLAGS.shards:
            files, sharded = listing.images_of(folder / "train"), folder / "shards"
            timed("writing", lambda: shards.write({"train": files}, sharded, count))
            timed("listing shards", lambda: listing.find(sharded, "train"), turns)
            folder = sharded
        more = range(turns - (not flags.FLAGS.first_only))
        first = [train(folder, f"run-{n}", first_only=True) for n in more]
        if not flags.FLAGS.first_only:
            first.append(train(folder, "run", first_only=False))
        print(f"command to the end of the first round: {figures.spread(first, 1)} s")


def timed(what, call, turns=1):
    seconds = []
    for _ in range(turns):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    print(f"{what}: {figures.spread(seconds, 1)} s", flush=True)


def train(folder, run, first_only):
    """Trains until all files are read and some windows are logged after that, or only
    the first round; how long that took, in seconds.
    """
    command = [sys.executable, "-m", "pan_tf", "train", "--recipe=l1_plus"]
    settings = ("dataset=folder", f"data_dir={folder}", f"run_dir={folder}/{run}")
    sizes = ("image_size=128", "width=.5", "dtype_policy=mixed_bfloat16", "log_every=200")
    course = (f"iterations={flags.FLAGS.iterations}", "save_every=100000")
    command += [f"--{each}" for each in (*settings, *sizes, *course)]
    begin, first, read_at, later = time.perf_counter(), None, None, 0
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipe) as process:
        for line in process.stdout:
            if not line.startswith("iteration"):
                continue
            now = time.perf_counter() - begin
            if first is None:
                first = now
                if first_only:
                    process.terminate()
            if "of files checked" not in line:
                if read_at is None:
                    read_at = int(line.split()[1].partition("/")[0])
                    print(f"all files read: {now:.0f} s", flush=True)
                later += 1
            if later == 5:
                process.terminate()
    if read_at is None:
        return first
    lines = (folder / run / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    rows = [row for row in rows if "images_per_second" in row]
    for when, chosen in (
        ("while files are read", [r for r in rows if r["iteration"] < read_at]),
        ("afterwards", [r for r in rows if r["iteration"] > read_at]),
    ):
        if chosen:
            pace = statistics.median(row["images_per_second"] for row in chosen)
            memory = max(row["memory_gib"] for row in chosen)
            print(f"{when}: {pace:.1f} images/s, {memory:.2f} GiB", flush=True)
    return first


if __name__ == "__main__":
    app.run(main)
