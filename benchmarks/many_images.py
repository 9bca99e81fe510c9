"""A folder of many images: what `translate` takes beside T's own time.

    python benchmarks/many_images.py                  # 256 px, the paper's channels
    python benchmarks/many_images.py --side=512 --images=100

An untrained T translates the pixels of the images one after the other, as they lie in
memory; then `TranslationJob` the folder of JPEG files, into a folder of PNG. Both in
turns, the first of which is not counted. Prints medians and [lowest, highest], and T's
share of the job.
"""

import os
import pathlib
import shutil
import sys
import tempfile
import time

import figures

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import app
from absl import flags

flags.DEFINE_integer("images", 200, "Files in the folder.")
flags.DEFINE_integer("side", 256, "Pixels a side.")
flags.DEFINE_float("width", 1.0, "Multiplies the channels of the untrained T.")
flags.DEFINE_integer("turns", 5, "That are counted.")


def main(argv):
    from PIL import Image

    from pan_tf import image_files
    from pan_tf.inference import TranslationJob
    from pan_tf.inference import Translator
    from runs import picture
    from runs import untrained

    options = flags.FLAGS
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        untrained(folder / "run", options.width)
        translator = Translator(folder / "run", scale="native")
        (folder / "in").mkdir()
        world, side = picture(4 * options.side), options.side
        for number in range(options.images):
            top, left = (number * 37) % (3 * side), (number * 91) % (3 * side)
            pixels = world[top : top + side, left : left + side]
            path = folder / "in" / f"{number:05d}.jpg"
            Image.fromarray(pixels).save(path, quality=92)
        files = sorted((folder / "in").iterdir())
        known = [image_files.read_picture(f, translator.source).pixels for f in files]

        def alone():
            for pixels in known:
                translator.translate_image(pixels)

        def job():
            outcome = TranslationJob(folder / "in", folder / "out").run(translator)
            shutil.rmtree(folder / "out")
            if len(outcome.written) != len(files):
                sys.exit(f"{outcome}")

        seconds = {alone: [], job: []}
        for turn in range(options.turns + 1):
            for work, found in seconds.items():
                begin = time.perf_counter()
                work()
                if turn:
                    found.append(time.perf_counter() - begin)
    shares = [a / b for a, b in zip(seconds[alone], seconds[job], strict=True)]
    figures.heading()
    for what, values in (("T alone", seconds[alone]), ("the job", seconds[job])):
        print(f"{what}: {figures.spread([len(files) / s for s in values], 1)} images/s")
    print(f"T's share of the job: {figures.spread([100 * s for s in shares], 0)} %")


if __name__ == "__main__":
    app.run(main)
