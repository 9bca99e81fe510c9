"""Trains the systems of a table of a paper, and sets their numbers beside its own.

    python scripts/reproduce.py --table=pan5 --data_dir=data
    python scripts/reproduce.py --table=pan5 --tasks=aerial2map --budget=4000,64,2 \
        --width=0.5 --dataset=folder --data_dir=my_pairs --systems=l1,pix2pix,pan

The default budget is the paper's, days on a GPU. Run it again to go on where it was
interrupted. SIGTERM and Ctrl-C save and stop.
"""

import logging
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import flags

from pan_tf import command_line
from pan_tf.config import DATASET_NAMES
from pan_tf.config import SYNTHESIS_NAMES

TABLES = (
    "pan3",
    "pan4",
    "pan5",
    "pan_fig4",
    "pan_fig5",
    "pan_fig11",
    "pd1",
    "pd_fig4",
)

flags.DEFINE_enum("table", None, TABLES, "Table or figure.", required=True)
flags.DEFINE_string(
    "budget",
    "100000,256,1",
    "iterations,image_size,seeds of each system: minibatches of the paper's four images "
    "(a system of another batch size sees as many images), pixels, number of trainings.",
)
flags.DEFINE_list("tasks", [], "Tasks of the table, by flagfile; empty: all.")
flags.DEFINE_list(
    "systems", [], "Systems of the table, or any recipes; empty: the table's."
)
flags.DEFINE_integer("batch_size", 4, "Of every system; 0: each its own.", lower_bound=0)
flags.DEFINE_float("width", None, "Of all networks; empty: as published.")
flags.DEFINE_enum(
    "dataset", None, DATASET_NAMES, "In place of each task's own; empty: those."
)
flags.DEFINE_enum("direction", None, ["AtoB", "BtoA"], "Empty: the task's.")
flags.DEFINE_enum("synthesize", None, SYNTHESIS_NAMES, "Empty: as the task has it.")
flags.DEFINE_string("data_dir", "data", "Where data sets are kept.")
flags.DEFINE_boolean("download", True, "Whether what is not there may be downloaded.")
flags.DEFINE_string("vgg_weights", None, "As of scripts/train.py.")
flags.DEFINE_string(
    "vgg_star_weights",
    None,
    "Weights of VGG*, as scripts/finetune_vgg.py makes them, for the systems that look "
    "through it; empty: --vgg_weights.",
)
flags.DEFINE_string("dtype_policy", None, "As of scripts/train.py.")
flags.DEFINE_integer(
    "limit", 2000, "Without pairs: as of scripts/evaluate.py.", lower_bound=8
)
flags.DEFINE_integer(
    "epochs", 30, "Without pairs: as of scripts/evaluate.py.", lower_bound=1
)
flags.DEFINE_integer(
    "dfi_iterations", 500, "As of scripts/evaluate.py --dfi.", lower_bound=1
)
flags.DEFINE_string("output_dir", None, "Where to write; empty: runs/<table>-<budget>.")

_CHANGES = (
    "width",
    "dataset",
    "direction",
    "synthesize",
    "data_dir",
    "download",
    "vgg_weights",
    "dtype_policy",
)


def main(argv):
    if len(argv) > 1:
        sys.exit(f"Unexpected arguments: {' '.join(argv[1:])}. Settings begin with --.")
    values = {name: flags.FLAGS[name].value for name in flags.FLAGS}
    # Now, not above: TensorFlow takes seconds to import, --help must not.
    from pan_tf.papers.reproduction import Budget
    from pan_tf.papers.reproduction import Reproduction
    from pan_tf.runs import training

    # TensorFlow warns of many functions traced; each system has one of its own.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    budget = values["budget"]
    output_dir = f"runs/{values['table']}-{budget.replace(',', '-')}"
    try:
        reproduction = Reproduction(
            values["table"],
            Budget.parse(budget),
            values["output_dir"] or output_dir,
            configs=ROOT / "configs",
            train=ROOT / "scripts" / "train.py",
            tasks=values["tasks"],
            systems=values["systems"],
            batch_size=values["batch_size"] or None,
            vgg_star_weights=values["vgg_star_weights"],
            dfi_iterations=values["dfi_iterations"],
            classifiers={name: values[name] for name in ("limit", "epochs")},
            **{name: values[name] for name in _CHANGES},
        )
    except training.REFUSALS as error:
        sys.exit(f"\n{error}")
    with training.StopRequest().listening() as stop:
        record = reproduction.run(stop)
    if record is None:
        print("Stopped; the same command goes on from there.")
        return
    print(f"\n{(reproduction.output_dir / 'results.md').read_text(encoding='utf-8')}")
    print(f"Page: {reproduction.output_dir / 'index.html'}")
    if any(
        row["failures"]
        for task in record["tasks"].values()
        for row in task["systems"].values()
    ):
        sys.exit("Not every training came to its end.")


if __name__ == "__main__":
    command_line.run(main)
