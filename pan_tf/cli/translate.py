"""Translates images of any size with a trained T; no targets are needed.

    pan-tf translate --run_dir=runs/a --input=photo.jpg --output=map.png
    pan-tf translate --run_dir=runs/a --input=photos --output=maps
    pan-tf translate --saved_model=exported/1 --input=photos --output=maps
    pan-tf translate --run_dir=runs/a --input=photos --output=maps --runner=direct

Every image gives one of the same size, a PNG unless --format=input. Where T sees more
than two million pixels, it does so in tiles that overlap. Files that fail are listed at
the end; the exit status is 1 then.

With --runner, Apache Beam spreads a folder over processes, or over the machines of an
engine (pip install 'pan_tf[beam]'). All must see the files at the same place. What failed
is then a line each of failures.tsv beside the outputs, too.
"""

import dataclasses
import sys

from pan_tf import printing
from pan_tf.cli import shared
from pan_tf.paths import place
from pan_tf.settings import Settings
from pan_tf.settings import setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What the flags say."""

    run_dir: str | None = setting(None, "Run folder.", parse=place)
    saved_model: str | None = setting(None, "SavedModel, in place of a run.", parse=place)
    checkpoint: str | None = shared.CHECKPOINT
    inverse: bool = setting(False, "From target to source, where both were learnt.")
    input: str | None = setting(
        None, "An image, or a folder of them.", required=True, parse=place
    )
    output: str | None = setting(
        None, "An image, or a folder.", required=True, parse=place
    )
    scale: str | None = setting(
        None,
        "At which scale T sees an image, whose size the output has again: auto, that of "
        "training; native, the image's own; or a number to multiply its sides by. Empty: "
        "auto, or what a SavedModel was exported with.",
    )
    tile_size: int | None = setting(
        None,
        "Pixels a side of the tiles that larger images are cut into, at the scale that T "
        "sees: a multiple of T's (64), at least four times that; empty: 1024 above two "
        "million pixels; 0: none, unless memory is short.",
        minimum=0,
    )
    format: str = setting(
        "png",
        "Write PNG (TIFF where T gives numbers that are not 8 or 16 bits), or each "
        "input's own format.",
        choices=("png", "input"),
    )
    existing: str = setting(
        "fail",
        "What to do where an output is there already.",
        choices=("fail", "skip", "overwrite"),
    )
    runner: str | None = shared.RUNNER
    workers: int | None = shared.WORKERS
    beam_options: str = shared.BEAM_OPTIONS

    def __post_init__(self):
        if (self.run_dir is None) == (self.saved_model is None):
            raise ValueError(
                "Either --run_dir or --saved_model must name what translates."
            )
        super().__post_init__()
        shared.check_runner(self)


def main(options):
    from pan_tf import interface

    try:
        outcome = interface.translate(**vars(options))
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"\n{error}")
    print(outcome)
    for path, sentence in outcome.failures:
        line = printing.one_line(f"FAILED {path}: {sentence}")
        print(line, file=sys.stderr)
    return 1 if outcome.failures else 0
