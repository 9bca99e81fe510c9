"""Exports a trained T as the next version of a model for TF Serving.

    pan-tf export --run_dir=runs/quickstart --export_dir=exported/aerial2map

Leaves <export_dir>/<version>/ with the signatures `serving_default` (PNG or JPEG files
in, PNG files out), `image` (uint8 or uint16) and `float_image` (float32 in [-1, 1]);
images of any size. The SavedModel is run in a fresh process on real images before it
gets its number: if it differs from the checkpoint by more than one level, or in float by
more than 1e-5 (or than what T makes of its input's last bit, up to 1e-3), nothing is left
and the exit status is 1.
"""

import dataclasses
import sys

from pan_tf import bundled
from pan_tf.cli import shared
from pan_tf.paths import place
from pan_tf.settings import Settings
from pan_tf.settings import setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What the flags say."""

    run_dir: str | None = setting(None, "Run folder.", required=True, parse=place)
    export_dir: str | None = setting(
        None, "Folder of the model; versions are put into it.", required=True, parse=place
    )
    checkpoint: str | None = shared.CHECKPOINT
    inverse: bool = setting(False, "T from target to source, where both were learnt.")
    scale: str = setting(
        "auto",
        "At which scale T sees an image, whose size the output has again: auto, that of "
        "training; native, the image's own; or a number to multiply its sides by. "
        "`float_image` stays T as it is.",
    )
    max_pixels: int = setting(
        2**22,
        "Pixels of all images of a request, each side rounded up to T's multiple. More "
        "are refused: it bounds the memory that a request takes.",
        minimum=1,
    )


def main(options):
    from pan_tf.export import Export
    from pan_tf.export import ParityError

    try:
        export = Export(
            options.run_dir,
            options.export_dir,
            options.checkpoint,
            options.max_pixels,
            options.inverse,
            options.scale,
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
    guide = bundled.folder("serving") / "README.md"
    print(f"Exported: {path}, {size / 1e6:.1f} MB. How to serve it: {guide}")
