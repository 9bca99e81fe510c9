"""A folder of 100 000 pairs: from the command to the first step, and what goes on beside.

    python benchmarks/many_pairs.py
    python benchmarks/many_pairs.py --pairs=400
    python benchmarks/many_pairs.py --shards=32 --first_only

Hard links to forty pairs of 256 x 256 px, side by side in JPEG files. Prints how long
listing them takes, when `train` has done its first round, its pace while files are still
read and without, how long reading all takes, and the memory of the process. With --shards
the same of shards that are made of the folder, which take some gigabytes of disk.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import app
from absl import flags

flags.DEFINE_integer("pairs", 100_000, "Files in the folder.")
flags.DEFINE_integer("iterations", 12000, "Of training; enough for all files to be read.")
flags.DEFINE_integer("shards", None, "Shards to make of the folder, and to train on.")
flags.DEFINE_bool("first_only", False, "Stop after the first round.")


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
        timed("listing", lambda: listing.find(folder, "train"))
        if count := flags.FLAGS.shards:
            files, sharded = listing.images_of(folder / "train"), folder / "shards"
            timed("writing", lambda: shards.write({"train": files}, sharded, count))
            timed("listing shards", lambda: listing.find(sharded, "train"))
            folder = sharded
        train(folder)


def timed(what, call):
    begin = time.perf_counter()
    call()
    print(f"{what}: {time.perf_counter() - begin:.1f} s", flush=True)


def train(folder):
    """Trains until all files are read and some windows are logged after that."""
    command = [sys.executable, "-m", "pan_tf", "train", "--recipe=l1_plus"]
    settings = ("dataset=folder", f"data_dir={folder}", f"run_dir={folder}/run")
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
                print(f"first round: {first:.1f} s", flush=True)
                if flags.FLAGS.first_only:
                    process.terminate()
            if "of files checked" not in line:
                if read_at is None:
                    read_at = int(line.split()[1].partition("/")[0])
                    print(f"all files read: {now:.0f} s", flush=True)
                later += 1
            if later == 5:
                process.terminate()
    if read_at is None:
        return
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
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


if __name__ == "__main__":
    app.run(main)
