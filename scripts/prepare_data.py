"""Prepares a data set: downloads its archive, checks it, and makes it readable at random.

    python scripts/prepare_data.py --dataset=maps --data_dir=data

An archive that lies at <data_dir>/downloads/manual/<name>.tar.gz is used in place of a
download. `bluemarble` and `folder` need no preparation.
"""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app
from absl import flags

from pan_tf.config import DATASET_NAMES

_ARCHIVED = [name for name in DATASET_NAMES if name not in ("bluemarble", "folder")]

flags.DEFINE_enum("dataset", None, _ARCHIVED, "Data set to prepare.", required=True)
flags.DEFINE_string("data_dir", "data", "Where data sets are kept.")


def main(argv):
    if len(argv) > 1:
        sys.exit(f"Unexpected arguments: {' '.join(argv[1:])}. Settings begin with --.")
    name, data_dir = flags.FLAGS.dataset, flags.FLAGS.data_dir
    # Now, not above: TensorFlow takes seconds to import, --help must not.
    from pan_tf.data import builders

    if builders.is_prepared(name, data_dir):
        print(f"{name} lies prepared in {data_dir}.")
        return
    try:
        builders.prepare(name, data_dir)
    except (OSError, ValueError) as error:
        sys.exit(f"\n{error}")
    splits = builders.builder(name, data_dir).info.splits.values()
    counts = ", ".join(f"{split.num_examples} {split.name}" for split in splits)
    print(f"{name} lies prepared in {data_dir}: {counts} pairs.")


if __name__ == "__main__":
    app.run(main)
