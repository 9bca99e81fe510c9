"""Translates images of any size with a trained T; no targets are needed.

    python scripts/translate.py --run_dir=runs/a --input=photo.jpg --output=map.png
    python scripts/translate.py --run_dir=runs/a --input=photos --output=maps
    python scripts/translate.py --saved_model=exported/1 --input=photos --output=maps

Every image gives one of the same size, a PNG unless --format=input. Large ones are cut
into tiles that overlap. Files that fail are listed at the end; the exit status is 1 then.
"""

import logging
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import flags

from pan_tf import command_line

flags.DEFINE_string("run_dir", None, "Run folder.")
flags.DEFINE_string("saved_model", None, "SavedModel, in place of a run.")
flags.DEFINE_enum("checkpoint", "best", ["best", "last"], "Which one of a run.")
flags.DEFINE_boolean("inverse", False, "From target to source, where both were learnt.")
flags.DEFINE_string("input", None, "An image, or a folder of them.")
flags.DEFINE_string("output", None, "An image, or a folder.")
flags.DEFINE_string(
    "scale",
    None,
    "At which scale T sees an image, whose size the output has again: auto, that of "
    "training; native, the image's own; or a number to multiply its sides by. Empty: "
    "auto, or what a SavedModel was exported with.",
)
flags.DEFINE_integer(
    "tile_size",
    None,
    "Pixels a side of the tiles that larger images are cut into; empty: 1024 above two "
    "million pixels; 0: none, unless memory is short.",
    lower_bound=0,
)
flags.DEFINE_enum(
    "format",
    "png",
    ["png", "input"],
    "Write PNG (TIFF where T gives numbers that are not 8 or 16 bits), or each input's "
    "own format.",
)
flags.DEFINE_enum(
    "existing",
    "fail",
    ["fail", "skip", "overwrite"],
    "What to do where an output is there already.",
)


def main(argv):
    if len(argv) > 1:
        sys.exit(f"Unexpected arguments: {' '.join(argv[1:])}. Settings begin with --.")
    values = flags.FLAGS
    if (values.run_dir is None) == (values.saved_model is None):
        sys.exit("Either --run_dir or --saved_model must name what translates.")
    for name in ("input", "output"):
        if values[name].value is None:
            sys.exit(f"--{name} must be given.")
    # Now, not above: TensorFlow takes seconds to import, --help must not.
    from pan_tf.image_files import loses_values
    from pan_tf.inference import TranslationJob
    from pan_tf.inference import Translator

    logging.getLogger("tensorflow").setLevel(logging.WARNING)
    try:
        job = TranslationJob(
            values.input, values.output, values.format == "input", values.existing
        )
        translator = Translator(
            values.run_dir or values.saved_model,
            values.checkpoint,
            inverse=values.inverse,
            scale=values.scale,
        )
        translator.tiling(1, 1, values.tile_size)  # Is it legal?
        if values.format == "png" and loses_values("PNG", translator.target):
            job = TranslationJob(
                values.input, values.output, existing=values.existing, format="TIFF"
            )
        outcome = job.run(translator, values.tile_size)
    except (OSError, ValueError) as error:
        sys.exit(f"\n{error}")
    for note in outcome.notes:
        print(note)
    if job.left_alone:
        print(f"{len(job.left_alone)} files are not images by their names.")
    print(
        f"{len(job.targets)} in, {len(outcome.written)} out"
        + (f", {len(outcome.skipped)} there already" if outcome.skipped else "")
        + f", {len(outcome.failures)} failed."
    )
    for path, sentence in outcome.failures:
        print(f"FAILED {path}: {sentence}", file=sys.stderr)
    sys.exit(1 if outcome.failures else 0)


if __name__ == "__main__":
    command_line.run(main)
