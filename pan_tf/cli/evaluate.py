"""Measures a trained T on held-out images and writes a report.

    pan-tf evaluate --run_dir=runs/pan-maps-256
    pan-tf evaluate --run_dir=runs/a --run_dir=runs/b       # compares them
    pan-tf evaluate --saved_model=exported/1 --dataset=folder --data_dir=D
    pan-tf evaluate --run_dir=runs/cyclegan-horse2zebra-256

With pairs each output is compared with its own target. Without pairs (a data set that
has none, or --unaligned) outputs are judged as a set: a classifier two-sample test, an
attribute log-loss; and what is kept of a source, in both directions of a cycle. Leaves
metrics.json, per_image.csv and index.html in --output_dir: in the run folder, unless the
flag is given.

With --runner, Apache Beam spreads pairs over processes, or over the machines of an engine
(pip install 'pan_tf[beam]'). All must see runs and images at the same place. What is left
is what one process leaves.
"""

import dataclasses
import functools
import sys

from pan_tf.cli import shared
from pan_tf.config import METRIC_NAMES
from pan_tf.config import METRIC_WEIGHTS
from pan_tf.config import PREPROCESSINGS
from pan_tf.paths import place
from pan_tf.settings import Settings
from pan_tf.settings import setting
from pan_tf.size import Size

_UNPAIRED = "Without pairs: "


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What the flags say."""

    run_dir: tuple[str, ...] = setting(
        (), "Run folder; several to compare them.", repeated=True, parse=place
    )
    saved_model: tuple[str, ...] = setting(
        (), "SavedModel; several to compare them.", repeated=True, parse=place
    )
    unaligned: bool | None = setting(
        None,
        "Measure without pairs, also where there are some; --nounaligned: by pairs; "
        "empty: as the data set and the runs have it.",
    )
    checkpoint: str | None = shared.CHECKPOINT
    dataset: str | None = shared.DATASET
    data_dir: str | None = shared.DATA_DIR
    download: bool = shared.DOWNLOAD
    split: str | None = shared.SPLIT
    image_size: Size | None = shared.IMAGE_SIZE
    preprocess: str | None = setting(
        None,
        "How images are brought to size to be measured; empty: as the run was trained. "
        "What files as they are get is measured beside that.",
        choices=PREPROCESSINGS,
    )
    direction: str | None = shared.DIRECTION
    synthesize: str | None = shared.SYNTHESIZE
    output_dir: str | None = setting(
        None,
        "Where to write; empty: in the run folder, or beside it where there are several; "
        "of a SavedModel beside that.",
        parse=place,
    )
    rank_by: str | None = setting(
        None,
        "Orders the images shown; empty: the run's --best_by.",
        choices=METRIC_NAMES,
    )
    batch_size: int | None = setting(
        None, "Images at a time; empty: by their size.", minimum=1, maximum=2**20
    )
    metrics: tuple[str, ...] | None = setting(
        None, "Measured beside the usual ones.", choices=shared.ALL_METRIC_NAMES
    )
    attribute: str | None = shared.ATTRIBUTE
    limit: int | None = setting(
        None,
        f"{_UNPAIRED}images of a list that are looked at, at most; empty: 2000.",
        minimum=8,
    )
    seeds: int | None = setting(
        None, f"{_UNPAIRED}two-sample tests a system; empty: 5.", minimum=1
    )
    epochs: int | None = setting(
        None, f"{_UNPAIRED}of each classifier, at most; empty: 30.", minimum=1
    )
    dfi: bool = setting(False, f"{_UNPAIRED}measure deep feature interpolation too.")
    vgg: str | None = shared.DFI_VGG
    vgg_weights: str | None = setting(
        None, "For --dfi, or --metrics that need some: as of train.", parse=place
    )
    metric_weights: str | None = METRIC_WEIGHTS
    dfi_neighbors: int | None = setting(
        None, "Images of either domain; empty: 100.", minimum=1
    )
    dfi_by: str | None = setting(
        None,
        "What --dfi chooses them by; attributes are known of celeb_a. Empty: features.",
        choices=("attributes", "features"),
    )
    dfi_step: float | None = setting(None, "How far --dfi goes; empty: 0.4.", minimum=0.0)
    dfi_iterations: int | None = setting(
        None, "L-BFGS-B's, for each image of --dfi; empty: 500.", minimum=1
    )
    runner: str | None = shared.RUNNER
    workers: int | None = shared.WORKERS
    beam_options: str = shared.BEAM_OPTIONS

    def __post_init__(self):
        super().__post_init__()
        shared.check_runner(self)
        for name in () if self.dfi else _DFI:
            if getattr(self, name) is not None:
                raise ValueError(f"--{name} goes with --dfi.")


_DFI = ("vgg", "dfi_neighbors", "dfi_by", "dfi_step", "dfi_iterations")
_BEAM = ("runner", "workers", "beam_options")
# What `Evaluation` takes in another form, or not at all.
_OTHERWISE = {"run_dir", "saved_model", "unaligned", "dfi", *_DFI, *_BEAM}


def main(options):
    from pan_tf import interface
    from pan_tf.evaluation import Evaluation
    from pan_tf.evaluation import spread
    from pan_tf.evaluation import text
    from pan_tf.inference.work import REFUSALS
    from pan_tf.metrics import MetricError

    made = functools.partial(
        Evaluation,
        options.run_dir,
        options.saved_model,
        unpaired=options.unaligned,
        dfi=_dfi(options) if options.dfi else None,
        **{n: getattr(options, n) for n in options.names() if n not in _OTHERWISE},
    )
    try:
        engine = interface.engine(*(getattr(options, name) for name in _BEAM))
    except (ImportError, ValueError) as error:
        sys.exit(f"\n{error}")
    try:
        evaluation = made()
        measured = engine and spread.measurer(engine, made, evaluation)
    except REFUSALS as error:
        sys.exit(f"\n{error}")
    try:
        record = evaluation.run(measured=measured)
    except MetricError as error:
        sys.exit(f"\n{error}")
    print("\n".join(text.lines(record)))
    print(f"Report: {evaluation.output_dir / 'index.html'}")


def _dfi(options):
    from pan_tf.papers import dfi

    named = shared.given(options, (*_DFI, "vgg_weights"))
    return dfi.Settings(**{k.removeprefix("dfi_"): value for k, value in named.items()})
