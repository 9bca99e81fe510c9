"""Measures a trained T on held-out images and writes a report.

    python scripts/evaluate.py --run_dir=runs/pan-maps-256
    python scripts/evaluate.py --run_dir=runs/a --run_dir=runs/b       # compares them
    python scripts/evaluate.py --saved_model=exported/1 --dataset=folder --data_dir=D
    python scripts/evaluate.py --unaligned --run_dir=runs/cyclegan-horse2zebra-256

With --unaligned no output is compared with a target of its own: a classifier two-sample
test, an attribute log-loss and what is kept of a source are measured, of both directions.
Leaves metrics.json, per_image.csv and index.html in --output_dir: in the run folder,
unless the flag is given.
"""

import logging
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import flags

from pan_tf import command_line
from pan_tf.config import DATASET_NAMES
from pan_tf.config import METRIC_NAMES
from pan_tf.config import SYNTHESIS_NAMES

flags.DEFINE_multi_string("run_dir", [], "Run folder; several to compare them.")
flags.DEFINE_multi_string("saved_model", [], "SavedModel; several to compare them.")
flags.DEFINE_boolean("unaligned", False, "Measure without pairs.")
flags.DEFINE_enum("checkpoint", "best", ["best", "last"], "Which one of a run.")
flags.DEFINE_enum("dataset", None, DATASET_NAMES, "Data set; empty: the run's.")
flags.DEFINE_string("data_dir", None, "Where data sets are kept; empty: as the run had.")
flags.DEFINE_boolean("download", True, "Whether what is not there may be downloaded.")
flags.DEFINE_string("split", None, "Split; empty: test, or val where there is no test.")
flags.DEFINE_integer("image_size", None, "Pixels a side; empty: the run's.")
flags.DEFINE_enum("direction", None, ["AtoB", "BtoA"], "Empty: the run's.")
flags.DEFINE_enum(
    "synthesize", None, SYNTHESIS_NAMES, "Make sources of targets; empty: as the run."
)
flags.DEFINE_string("output_dir", None, "Where to write; empty: in the run folder.")
flags.DEFINE_enum(
    "rank_by", None, METRIC_NAMES, "Orders the images shown; empty: the run's --best_by."
)
flags.DEFINE_integer(
    "batch_size", None, "Images at a time; empty: by their size.", lower_bound=1
)

flags.DEFINE_string("attribute", None, "Of faces; empty: the run's.")
_UNALIGNED = "With --unaligned: "
flags.DEFINE_integer(
    "limit",
    2000,
    f"{_UNALIGNED}images of a list that are looked at, at most.",
    lower_bound=8,
)
flags.DEFINE_integer("seeds", 5, f"{_UNALIGNED}two-sample tests a system.", lower_bound=1)
flags.DEFINE_integer(
    "epochs", 30, f"{_UNALIGNED}of each classifier, at most.", lower_bound=1
)
flags.DEFINE_boolean("dfi", False, f"{_UNALIGNED}measure deep feature interpolation too.")
flags.DEFINE_enum("vgg", "vgg19", ["vgg16", "vgg19"], "That --dfi looks through.")
flags.DEFINE_string("vgg_weights", None, "As of scripts/train.py.")
flags.DEFINE_integer("dfi_neighbors", 100, "Images of either domain.", lower_bound=1)
flags.DEFINE_enum(
    "dfi_by",
    "features",
    ["attributes", "features"],
    "What --dfi chooses them by; attributes are known of celeb_a.",
)
flags.DEFINE_float("dfi_step", 0.4, "How far --dfi goes.", lower_bound=0.0)
flags.DEFINE_integer("dfi_iterations", 500, "Of L-BFGS-B, an image.", lower_bound=1)

_SHARED = (
    "checkpoint",
    "dataset",
    "data_dir",
    "download",
    "split",
    "image_size",
    "direction",
    "output_dir",
    "batch_size",
)
_PAIRED = ("synthesize", "rank_by")
_ALONE = ("attribute", "limit", "seeds", "epochs")
_DFI = ("vgg", "vgg_weights", "dfi_neighbors", "dfi_by", "dfi_step", "dfi_iterations")


def main(argv):
    if len(argv) > 1:
        sys.exit(f"Unexpected arguments: {' '.join(argv[1:])}. Settings begin with --.")
    _check_belonging()
    values = {name: flags.FLAGS[name].value for name in flags.FLAGS}
    # Now, not above: TensorFlow takes seconds to import, --help must not.
    from pan_tf.data import DatasetNotFoundError
    from pan_tf.networks import WeightsNotFoundError

    logging.getLogger("tensorflow").setLevel(logging.WARNING)
    make = _unaligned if values["unaligned"] else _paired
    try:
        evaluation = make(values)
    except (DatasetNotFoundError, OSError, ValueError, WeightsNotFoundError) as error:
        sys.exit(f"\n{error}")
    record = evaluation.run()
    (_print_unaligned if values["unaligned"] else _print_paired)(evaluation, record)
    for note in record["notes"]:
        print(note)
    print(f"Report: {evaluation.output_dir / 'index.html'}")


def _check_belonging():
    """Refuses a flag that would go unheard."""
    is_unaligned = flags.FLAGS.unaligned
    unheard = _PAIRED if is_unaligned else (*_ALONE, "dfi")
    for name in unheard:
        if flags.FLAGS[name].present:
            sys.exit(
                f"\n--{name} goes {'without' if is_unaligned else 'with'} --unaligned."
            )
    for name in () if flags.FLAGS.dfi else _DFI:
        if flags.FLAGS[name].present:
            sys.exit(f"\n--{name} goes with --dfi.")


def _paired(values):
    from pan_tf.evaluation import Evaluation

    settings = {name: values[name] for name in (*_SHARED, *_PAIRED)}
    return Evaluation(values["run_dir"], values["saved_model"], **settings)


def _unaligned(values):
    from pan_tf import dfi
    from pan_tf.evaluation import UnalignedEvaluation

    settings = {name: values[name] for name in (*_SHARED, *_ALONE)}
    if values["dfi"]:
        named = {name.removeprefix("dfi_"): values[name] for name in _DFI}
        settings["dfi"] = dfi.Settings(**named)
    return UnalignedEvaluation(values["run_dir"], values["saved_model"], **settings)


def _print_paired(evaluation, record):
    runs = record.get("runs") or {evaluation.names[0]: record}
    columns = {name: run["metrics"] for name, run in runs.items()}
    columns |= {f"floor: {name}": m for name, m in record["baselines"].items()}
    print(f"\n{record['n']} {record['dataset']['split']} images, mean [95 % interval]:")
    _print_columns(columns)


def _print_unaligned(evaluation, record):
    for direction, found in record["directions"].items():
        rows = {**found["runs"], **{f"({k})": v for k, v in found["baselines"].items()}}
        print(f"\n{direction}, {found['n']} sources, mean [95 % interval]:")
        _print_columns({name: row["metrics"] for name, row in rows.items()})


def _print_columns(columns):
    for name, metrics in columns.items():
        print(f"{name}")
        for metric, value in metrics.items():
            interval = value["ci95"] and "[{:.4f}, {:.4f}]".format(*value["ci95"])
            print(f"    {metric:18}{value['mean']:9.4f}  {interval or ''}")


if __name__ == "__main__":
    command_line.run(main)
