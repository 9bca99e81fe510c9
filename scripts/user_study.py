"""Asks people which system's output is best: makes a blind page, scores what comes back.

    python scripts/user_study.py --run_dir=runs/a --run_dir=runs/b --output_dir=study
    python scripts/user_study.py --score=study

The page, study/index.html, needs no network: hand that file, and no other, to your
subjects. The files it gives them go into study/choices/. study/key.json says which output
is whose.
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

flags.DEFINE_string("score", None, "Folder of a study to score.")
flags.DEFINE_string("output_dir", None, "Where to write a new study.")
flags.DEFINE_multi_string("run_dir", [], "Run folder of a system.")
flags.DEFINE_multi_string("saved_model", [], "SavedModel of a system.")
flags.DEFINE_multi_string(
    "outputs",
    [],
    "Of a system from elsewhere: NAME=FOLDER of its outputs, image files named as the "
    "sources of the study.",
)
flags.DEFINE_boolean("dfi", False, "Deep feature interpolation as one more system.")
flags.DEFINE_enum("vgg", "vgg19", ["vgg16", "vgg19"], "That --dfi looks through.")
flags.DEFINE_string("vgg_weights", None, "As of scripts/train.py.")
flags.DEFINE_enum("checkpoint", "best", ["best", "last"], "Which one of a run.")
flags.DEFINE_boolean("inverse", False, "Ask about the inverse of cycles.")
flags.DEFINE_integer("questions", 30, "Sources that are drawn.", lower_bound=1)
flags.DEFINE_integer("seed", 1, "Of the draw.")
flags.DEFINE_string("prompt", None, "What is asked; empty: which is best.")
flags.DEFINE_enum("dataset", None, DATASET_NAMES, "Data set; empty: the run's.")
flags.DEFINE_string("data_dir", None, "Where data sets are kept; empty: as the run had.")
flags.DEFINE_boolean("download", True, "Whether what is not there may be downloaded.")
flags.DEFINE_string("split", None, "Split; empty: test, or val where there is no test.")
flags.DEFINE_string(
    "image_size", None, "Pixels a side, or height x width; empty: the run's."
)
flags.DEFINE_enum("direction", None, ["AtoB", "BtoA"], "Empty: the run's.")
flags.DEFINE_string("attribute", None, "Of faces; empty: the run's.")

_SETTINGS = (
    "checkpoint",
    "inverse",
    "questions",
    "seed",
    "dataset",
    "data_dir",
    "download",
    "split",
    "image_size",
    "direction",
    "attribute",
)


def main(argv):
    if len(argv) > 1:
        sys.exit(f"Unexpected arguments: {' '.join(argv[1:])}. Settings begin with --.")
    values = {name: flags.FLAGS[name].value for name in flags.FLAGS}
    if (values["score"] is None) == (values["output_dir"] is None):
        sys.exit("Either --output_dir, to make a study, or --score, to score one.")
    for name in (*_SETTINGS, "run_dir", "saved_model", "outputs", "dfi", "prompt"):
        if values["score"] and flags.FLAGS[name].present:
            sys.exit(f"--{name} makes a study; it does not go with --score.")
    for name in () if values["dfi"] else ("vgg", "vgg_weights"):
        if flags.FLAGS[name].present:
            sys.exit(f"--{name} goes with --dfi.")
    # Now, not above: TensorFlow takes seconds to import, --help must not.
    from pan_tf.data import DatasetNotFoundError
    from pan_tf.image_files import ImageFileError
    from pan_tf.networks import WeightsNotFoundError

    logging.getLogger("tensorflow").setLevel(logging.WARNING)
    refusals = DatasetNotFoundError, ImageFileError, OSError, ValueError
    try:
        _score(values["score"]) if values["score"] else _make(values)
    except (*refusals, WeightsNotFoundError) as error:
        sys.exit(f"\n{error}")


def _make(values):
    from pan_tf.papers import dfi
    from pan_tf.papers import user_study

    settings = {name: values[name] for name in _SETTINGS}
    if values["prompt"]:
        settings["prompt"] = values["prompt"]
    if values["dfi"]:
        settings["interpolation"] = dfi.Settings(values["vgg"], values["vgg_weights"])
    user_study.check_output_dir(values["output_dir"])
    study = user_study.Study.of_runs(
        values["run_dir"], values["saved_model"], _folders(values["outputs"]), **settings
    )
    user_study.write_study(study, values["output_dir"])
    page = pathlib.Path(values["output_dir"]) / "index.html"
    print(f"{len(study.names)} questions on {', '.join(study.outputs)}: {page}")


def _folders(named):
    folders = {}
    for text in named:
        name, _, path = text.partition("=")
        if not (name and pathlib.Path(path).is_dir()) or name in folders:
            raise ValueError(
                "--outputs must be NAME=FOLDER, each name once, the folder there. "
                f"Received: outputs={text!r}."
            )
        folders[name] = path
    return folders


def _score(study_dir):
    from pan_tf.papers import user_study

    results = user_study.score(study_dir)
    print(
        f"{results['answers']} answers of {results['subjects']} subjects; by chance each "
        f"would be picked {results['chance']:.0%} of the time. Share [95 % interval]:"
    )
    for name, row in results["systems"].items():
        low, high = row["ci95"]
        print(f"    {name:30}{row['share']:6.1%}  [{low:.1%}, {high:.1%}]")
    best = next(iter(results["systems"]))
    for name, lead in results["leads"].items():
        low, high = lead["ci95"]
        surely = "surely ahead of" if low > 0 else "not surely ahead of"
        print(f"{best} is {surely} {name}: {lead['mean']:+.1%} [{low:+.1%}, {high:+.1%}]")


if __name__ == "__main__":
    command_line.run(main)
