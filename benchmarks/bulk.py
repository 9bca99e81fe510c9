"""Apache Beam's local processes beside the plain command, on 10 000 files.

    pip install -e '.[beam]' && python benchmarks/bulk.py
    python benchmarks/bulk.py --files=1000 --side=256 --width=1

JPEG files of about `--side` pixels (hard links to forty), in folders, three damaged,
through an untrained T. Prints the time of both, with loading, and whether every output,
and every failure, is the same.
"""

import os
import pathlib
import sys
import tempfile
import time

import figures

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import app
from absl import flags

flags.DEFINE_integer("files", 10_000, "To translate.")
flags.DEFINE_integer("side", 64, "Pixels a side, about.")
flags.DEFINE_float("width", 1 / 8, "Of T.")
flags.DEFINE_integer("workers", 2, "Processes.")


def main(argv):
    from PIL import Image

    import pan_tf
    from runs import picture
    from runs import untrained

    options = flags.FLAGS
    figures.heading("apache-beam")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        untrained(folder / "run", options.width)
        world = picture(8 * options.side)
        for number in range(options.files):
            path = folder / "in" / f"{number % 10}" / f"{number:06d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            if number < 40:
                top, size = number * 3, options.side + number
                Image.fromarray(world[top : top + options.side, :size]).save(path)
            elif number in (1000, 2000, 3000):
                path.write_bytes(b"damaged")
            else:
                first = number % 40
                os.link(folder / "in" / f"{first % 10}" / f"{first:06d}.jpg", path)
        found = {}
        ways = {"alone": {}, "Beam": {"runner": "direct", "workers": options.workers}}
        for way, more in ways.items():
            begin = time.perf_counter()
            places = {"input": folder / "in", "output": folder / way}
            outcome = pan_tf.translate(folder / "run", scale="native", **places, **more)
            seconds = time.perf_counter() - begin
            print(f"{way}: {len(outcome.written)} files in {seconds:.1f} s", flush=True)
            found[way] = (
                outcome.failures,
                {
                    path.relative_to(folder / way): path.read_bytes()
                    for path in (folder / way).rglob("*.png")
                },
            )
        same = found["alone"] == found["Beam"]
        lines = (folder / "Beam" / "failures.tsv").read_text().splitlines()
        print(f"the same: {same}; lines of failures.tsv: {len(lines)}")


if __name__ == "__main__":
    app.run(main)
