"""Looks for what would ruin a training: broken, swapped, leaking or misaligned pairs.

    python scripts/doctor.py --dataset=folder --data_dir=my_pairs

Leaves doctor.json, pairs.csv and index.html in --output_dir. Exit status 1 if the data
set does not pass, 0 if it does, with or without warnings.
"""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import flags

from pan_tf import command_line
from pan_tf import files
from pan_tf import tables
from pan_tf.config import DATASET_NAMES
from pan_tf.config import Config

# Not those that are not pairs.
_WITHOUT = [
    name
    for field in ("paired", "has_sources")
    for name in tables.keys("data/table.py", "DATASETS", where={field: False})
]
_PAIRED = [name for name in DATASET_NAMES if name not in _WITHOUT]

flags.DEFINE_enum("dataset", "folder", _PAIRED, "Data set to examine.")
flags.DEFINE_string("data_dir", "data", "Where data sets are kept; of `folder`, its own.")
flags.DEFINE_boolean("download", True, "Whether what is not there may be downloaded.")
flags.DEFINE_string("output_dir", None, "Where to write; empty: runs/doctor-<name>.")
flags.DEFINE_string(
    "image_size",
    "256",
    "Pixels a side, or height x width, as of training; of bluemarble a tile's.",
)
flags.DEFINE_float(
    "max_misaligned",
    0.03,
    "Share of pairs that may seem misaligned in a set that passes.",
    lower_bound=0.0,
    upper_bound=1.0,
)


def main(argv):
    if len(argv) > 1:
        sys.exit(f"Unexpected arguments: {' '.join(argv[1:])}. Settings begin with --.")
    values = flags.FLAGS
    name, data_dir = values.dataset, pathlib.Path(values.data_dir)
    title = data_dir.resolve().name if name == "folder" else name
    output_dir = pathlib.Path(values.output_dir or f"runs/doctor-{title}")
    try:
        image_size = Config(image_size=values.image_size).image_size
        files.check_output_dir(output_dir, "doctor.json")
    except ValueError as error:
        sys.exit(str(error))
    # Now, not above: TensorFlow takes seconds to import, --help must not.
    from pan_tf import data
    from pan_tf import doctor

    unpaired, suspicions = [], []
    try:
        if name == "folder":
            items, unpaired = doctor.of_folder(data_dir)
            suspicions = doctor.suspicions(data_dir)
        else:
            config = Config(
                dataset=name,
                data_dir=str(data_dir),
                image_size=values.image_size,
                download=values.download,
                direction="AtoB",
            )
            opened = data.open_data(data.locate(config))
            items = [item for p in opened.splits.values() for item in doctor.of_split(p)]
    except (data.DatasetNotFoundError, OSError, ValueError) as error:
        sys.exit(f"\n{error}")
    record, findings, estimates = doctor.examine(
        items,
        unpaired,
        values.max_misaligned,
        image_size=image_size if name == "folder" else None,
        suspicions=suspicions,
    )
    doctor.write(output_dir, title, items, record, findings, estimates)
    for check, result in record["checks"].items():
        if "not_checked" in result:
            print(f"{check}: not checked, {result['not_checked']}.")
        if result["count"]:
            print(f"{check} ({result['severity']}): {result['count']}")
            for pair in result["pairs"][:10]:
                print(f"    {pair['pair']}: {pair['message']}")
            if result["count"] > 10:
                print(f"    and {result['count'] - 10} more, in doctor.json")
    if "geometry" in record:
        chosen = record["geometry"]
        print(
            f"Training would see {chosen['sentence']} ({chosen['reason']}); --preprocess "
            "chooses otherwise."
        )
    print(f"{title} {'passes' if record['passed'] else 'DOES NOT PASS'}.")
    print(f"Contact sheet: {output_dir / 'index.html'}")
    sys.exit(0 if record["passed"] else 1)


if __name__ == "__main__":
    command_line.run(main)
