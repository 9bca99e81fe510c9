"""Exports a trained T as the next version of a model for TF Serving.

    python scripts/export.py --run_dir=runs/quickstart --export_dir=exported/aerial2map

Leaves <export_dir>/<version>/ with the signatures `serving_default` (PNG or JPEG files
in, PNG files out), `image` (uint8 or uint16) and `float_image` (float32 in [-1, 1]);
images of any size. The SavedModel is run in a fresh process on real images before it
gets its number: if it differs from the checkpoint by more than one level, or 1e-5 in
float, nothing is left and the exit status is 1.
"""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import flags
from absl import logging

from pan_tf import command_line

flags.DEFINE_string("run_dir", None, "Run folder.")
flags.DEFINE_enum("checkpoint", "best", ["best", "last"], "Which one of the run.")
flags.DEFINE_boolean("inverse", False, "T from target to source, where both were learnt.")
flags.DEFINE_string("export_dir", None, "Folder of the model; versions are put into it.")
flags.DEFINE_string(
    "scale",
    "auto",
    "At which scale T sees an image, whose size the output has again: auto, that of "
    "training; native, the image's own; or a number to multiply its sides by. "
    "`float_image` stays T as it is.",
)
flags.DEFINE_integer(
    "max_pixels",
    2**22,
    "Pixels of all images of a request, each side rounded up to T's multiple. More are "
    "refused: it bounds the memory that a request takes.",
    lower_bound=1,
)


def main(argv):
    if len(argv) > 1:
        sys.exit(f"Unexpected arguments: {' '.join(argv[1:])}. Settings begin with --.")
    values = flags.FLAGS
    for name in ("run_dir", "export_dir"):
        if values[name].value is None:
            sys.exit(f"--{name} must be given.")
    # Now, not above: TensorFlow takes seconds to import, --help must not.
    from pan_tf.export import Export
    from pan_tf.export import ParityError

    logging.set_verbosity(logging.WARNING)
    try:
        export = Export(
            values.run_dir,
            values.export_dir,
            values.checkpoint,
            values.max_pixels,
            values.inverse,
            values.scale,
        )
        path, report = export.run()
    except (OSError, ValueError, ParityError, RuntimeError) as error:
        sys.exit(f"\n{error}")
    print(
        "\nLargest difference to the checkpoint, in a process without pan_tf and Keras:"
    )
    for name, row in report.items():
        print(
            f"    {name:16} {row['largest_difference']:.3g} {row['unit']} "
            f"({row['images']} images, limit {row['limit']:g})"
        )
    for note in export.notes:
        print(note)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    print(f"Exported: {path}, {size / 1e6:.1f} MB. How to serve it: serving/README.md")


if __name__ == "__main__":
    command_line.run(main)
