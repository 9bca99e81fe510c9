"""Measures a trained T on held-out images and writes a report.

    python scripts/evaluate.py --run_dir=runs/pan-maps-256
    python scripts/evaluate.py --run_dir=runs/a --run_dir=runs/b       # compares them
    python scripts/evaluate.py --saved_model=exported/1 --dataset=folder --data_dir=D
    python scripts/evaluate.py --run_dir=runs/cyclegan-horse2zebra-256

With pairs each output is compared with its own target. Without pairs (a data set that
has none, or --unaligned) outputs are judged as a set: a classifier two-sample test, an
attribute log-loss; and what is kept of a source, in both directions of a cycle. Leaves
metrics.json, per_image.csv and index.html in --output_dir: in the run folder, unless the
flag is given.
"""

import logging
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import flags

from pan_tf import command_line
from pan_tf import tables
from pan_tf.config import DATASET_NAMES
from pan_tf.config import METRIC_NAMES
from pan_tf.config import SYNTHESIS_NAMES

_METRICS = (*METRIC_NAMES, *tables.keys("metrics/table.py", "SET_METRICS"))
flags.DEFINE_multi_string("run_dir", [], "Run folder; several to compare them.")
flags.DEFINE_multi_string("saved_model", [], "SavedModel; several to compare them.")
flags.DEFINE_boolean(
    "unaligned",
    None,
    "Measure without pairs, also where there are some; --nounaligned: by pairs; empty: "
    "as the data set and the runs have it.",
)
flags.DEFINE_enum("checkpoint", "best", ["best", "last"], "Which one of a run.")
flags.DEFINE_enum("dataset", None, DATASET_NAMES, "Data set; empty: the run's.")
flags.DEFINE_string("data_dir", None, "Where data sets are kept; empty: as the run had.")
flags.DEFINE_boolean("download", True, "Whether what is not there may be downloaded.")
flags.DEFINE_string("split", None, "Split; empty: test, or val where there is no test.")
flags.DEFINE_string(
    "image_size", None, "Pixels a side, or height x width; empty: the run's."
)
flags.DEFINE_enum(
    "preprocess",
    None,
    ["squash", "scale", "crop"],
    "How images are brought to size to be measured; empty: as the run was trained. What "
    "files as they are get is measured beside that.",
)
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

flags.DEFINE_list(
    "metrics",
    None,
    f"Beside the usual ones, some of: {', '.join(_METRICS)}.",
)
flags.DEFINE_string("attribute", None, "Attribute of faces; empty: the run's.")
_UNPAIRED = "Without pairs: "
flags.DEFINE_integer(
    "limit",
    2000,
    f"{_UNPAIRED}images of a list that are looked at, at most.",
    lower_bound=8,
)
flags.DEFINE_integer("seeds", 5, f"{_UNPAIRED}two-sample tests a system.", lower_bound=1)
flags.DEFINE_integer(
    "epochs", 30, f"{_UNPAIRED}of each classifier, at most.", lower_bound=1
)
flags.DEFINE_boolean("dfi", False, f"{_UNPAIRED}measure deep feature interpolation too.")
flags.DEFINE_enum("vgg", "vgg19", ["vgg16", "vgg19"], "The VGG that --dfi looks through.")
flags.DEFINE_string(
    "vgg_weights", None, "Of --dfi, or of --metrics that need some: as of train.py."
)
flags.DEFINE_integer("dfi_neighbors", 100, "Images of either domain.", lower_bound=1)
flags.DEFINE_enum(
    "dfi_by",
    "features",
    ["attributes", "features"],
    "What --dfi chooses them by; attributes are known of celeb_a.",
)
flags.DEFINE_float("dfi_step", 0.4, "How far --dfi goes.", lower_bound=0.0)
flags.DEFINE_integer(
    "dfi_iterations", 500, "L-BFGS-B's, for each image of --dfi.", lower_bound=1
)

_SETTINGS = (
    "checkpoint",
    "dataset",
    "data_dir",
    "download",
    "split",
    "image_size",
    "preprocess",
    "direction",
    "synthesize",
    "attribute",
    "output_dir",
    "batch_size",
    "rank_by",
    "metrics",
    "limit",
    "seeds",
    "epochs",
)
_DFI = ("vgg", "dfi_neighbors", "dfi_by", "dfi_step", "dfi_iterations")


def main(argv):
    if len(argv) > 1:
        sys.exit(f"Unexpected arguments: {' '.join(argv[1:])}. Settings begin with --.")
    values = {name: flags.FLAGS[name].value for name in flags.FLAGS}
    for name in () if values["dfi"] else _DFI:
        if flags.FLAGS[name].present:
            sys.exit(f"\n--{name} goes with --dfi.")
    # Now, not above: TensorFlow takes seconds to import, --help must not.
    from pan_tf.data import DatasetNotFoundError
    from pan_tf.evaluation import Evaluation
    from pan_tf.networks import WeightsNotFoundError

    logging.getLogger("tensorflow").setLevel(logging.WARNING)
    settings = {name: values[name] for name in _SETTINGS}
    try:
        evaluation = Evaluation(
            values["run_dir"],
            values["saved_model"],
            unpaired=values["unaligned"],
            vgg_weights=values["vgg_weights"],
            dfi=_dfi(values) if values["dfi"] else None,
            **settings,
        )
        _check_heard(evaluation)
    except (DatasetNotFoundError, OSError, ValueError, WeightsNotFoundError) as error:
        sys.exit(f"\n{error}")
    record = evaluation.run()
    _print(record)
    if "native" in record:
        _print_native(record)
    for note in record["notes"]:
        print(note)
    print(f"Report: {evaluation.output_dir / 'index.html'}")


def _dfi(values):
    from pan_tf.papers import dfi

    named = {name.removeprefix("dfi_"): values[name] for name in (*_DFI, "vgg_weights")}
    return dfi.Settings(**named)


def _check_heard(evaluation):
    """Refuses a flag that would go unheard."""
    unheard = () if evaluation.of_sets else ("limit", "seeds", "epochs")
    for name in unheard:
        if flags.FLAGS[name].present:
            raise ValueError(f"--{name} goes without pairs: add --unaligned.")
    if flags.FLAGS["vgg_weights"].present and not (evaluation.vgg or evaluation.dfi):
        raise ValueError("--vgg_weights goes with --dfi, or --metrics that need some.")


def _print(record):
    split = record["dataset"]["split"]
    for direction, found in record.get("directions", {"": record}).items():
        runs = found.get("runs") or {"": found}
        columns = {name: run["metrics"] for name, run in runs.items()}
        columns |= {
            f"baseline: {name}": row.get("metrics", row)
            for name, row in found["baselines"].items()
        }
        what = (
            f"{direction}, {found['n']} sources" if direction else f"{found['n']} {split}"
        )
        print(f"\n{what}{'' if direction else ' images'}, mean [95 % interval]:")
        _print_columns(columns)


def _print_native(record):
    native = record["native"]
    columns = native.get("runs") or {"": native["metrics"]}
    columns |= {
        f"{name}, --scale=native": row for name, row in native["at_native_scale"].items()
    }
    columns |= {f"baseline: {name}": row for name, row in native["baselines"].items()}
    print("\nOn your files as they are, at their own size, as translate writes them:")
    _print_columns(columns)
    for sentence in native["sentences"]:
        print(sentence)


def _print_columns(columns):
    for name, metrics in columns.items():
        if name:
            print(name)
        for metric, value in metrics.items():
            interval = value["ci95"] and "[{:.4f}, {:.4f}]".format(*value["ci95"])
            print(f"    {metric:18}{value['mean']:9.4f}  {interval or ''}")


if __name__ == "__main__":
    command_line.run(main)
