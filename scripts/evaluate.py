"""Measures a trained T on held-out pairs and writes a report.

    python scripts/evaluate.py --run_dir=runs/pan-maps-256
    python scripts/evaluate.py --run_dir=runs/a --run_dir=runs/b       # compares them
    python scripts/evaluate.py --saved_model=exported/1 --dataset=folder --data_dir=D

Leaves metrics.json, per_image.csv and index.html in --output_dir: in the run folder,
unless the flag is given.
"""

import logging
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app
from absl import flags

from pan_tf.config import DATASET_NAMES
from pan_tf.config import METRIC_NAMES
from pan_tf.config import SYNTHESIS_NAMES

flags.DEFINE_multi_string("run_dir", [], "Run folder; several to compare them.")
flags.DEFINE_multi_string("saved_model", [], "SavedModel; several to compare them.")
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

_NAMES = (
    "checkpoint",
    "dataset",
    "data_dir",
    "download",
    "split",
    "image_size",
    "direction",
    "synthesize",
    "output_dir",
    "rank_by",
    "batch_size",
)


def main(argv):
    if len(argv) > 1:
        sys.exit(f"Unexpected arguments: {' '.join(argv[1:])}. Settings begin with --.")
    settings = {name: flags.FLAGS[name].value for name in _NAMES}
    # Now, not above: TensorFlow takes seconds to import, --help must not.
    from pan_tf.data import DatasetNotFoundError
    from pan_tf.evaluation import Evaluation

    logging.getLogger("tensorflow").setLevel(logging.WARNING)
    try:
        evaluation = Evaluation(flags.FLAGS.run_dir, flags.FLAGS.saved_model, **settings)
    except (DatasetNotFoundError, OSError, ValueError) as error:
        sys.exit(f"\n{error}")
    record = evaluation.run()
    runs = record.get("runs") or {evaluation.names[0]: record}
    columns = {name: run["metrics"] for name, run in runs.items()}
    columns |= {f"floor: {name}": m for name, m in record["baselines"].items()}
    print(f"\n{record['n']} {record['dataset']['split']} images, mean [95 % interval]:")
    for name, metrics in columns.items():
        print(f"{name}")
        for metric, value in metrics.items():
            interval = value["ci95"] and "[{:.4f}, {:.4f}]".format(*value["ci95"])
            print(f"    {metric:10}{value['mean']:9.4f}  {interval or ''}")
    for note in record["notes"]:
        print(note)
    print(f"Report: {evaluation.output_dir / 'index.html'}")


if __name__ == "__main__":
    app.run(main)
