"""Looks for what would ruin a training, before it starts.

Broken files, sides that are swapped, pairs that leak from training to test, and those
that are misaligned.

    pan-tf doctor --dataset=folder --data_dir=my_pairs

Leaves doctor.json, pairs.csv and index.html in --output_dir. Exit status 1 if the data
set does not pass, 0 if it does, with or without warnings.
"""

import dataclasses
import os
import pathlib
import sys

from pan_tf import files
from pan_tf import printing
from pan_tf import tables
from pan_tf.cli import shared
from pan_tf.config import DATASET_NAMES
from pan_tf.config import Config
from pan_tf.paths import place
from pan_tf.settings import Settings
from pan_tf.settings import setting
from pan_tf.size import Size

# Not those that are not pairs.
_WITHOUT = [
    name
    for field in ("paired", "has_sources")
    for name in tables.keys("data/table.py", "DATASETS", where={field: False})
]
_PAIRED = tuple(name for name in DATASET_NAMES if name not in _WITHOUT)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What the flags say."""

    dataset: str = setting("folder", "Data set to examine.", choices=_PAIRED)
    data_dir: str = setting(
        "data", "Where data sets are kept; of `folder`, its own.", parse=place
    )
    download: bool = shared.DOWNLOAD
    output_dir: str | None = setting(
        None, "Where to write; empty: runs/doctor-<name>.", parse=place
    )
    image_size: Size = setting(
        Size(256, 256),
        "Pixels a side, or height x width, as of training; of bluemarble and etopo1 a "
        "tile's.",
        parse=Size.of,
    )
    max_misaligned: float = setting(
        0.03,
        "Share of pairs that may seem misaligned in a set that passes; one pair always "
        "may, unless this is 0.",
        minimum=0.0,
        maximum=1.0,
    )


def main(options):
    name, data_dir = options.dataset, pathlib.Path(options.data_dir)
    title = os.path.basename(os.path.realpath(data_dir)) if name == "folder" else name
    output_dir = pathlib.Path(options.output_dir or f"runs/doctor-{title}")
    try:
        image_size = Config(image_size=options.image_size).image_size
        files.check_output_dir(output_dir, "doctor.json", ["checks", "pairs"])
    except ValueError as error:
        sys.exit(str(error))
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
                image_size=options.image_size,
                download=options.download,
                direction="AtoB",
            )
            opened = data.open_data(data.locate(config))
            items = [item for p in opened.splits.values() for item in doctor.of_split(p)]
    except (data.DatasetNotFoundError, OSError, ValueError) as error:
        sys.exit(f"\n{error}")
    try:
        record, findings, estimates = doctor.examine(
            items,
            unpaired,
            options.max_misaligned,
            image_size=image_size if name == "folder" else None,
            suspicions=suspicions,
        )
    except doctor.BrokenPairError as error:  # When it was read first, it was whole.
        sys.exit(f"\n{error}\nIt was not so before: what changes these files?")
    doctor.write(output_dir, title, items, record, findings, estimates)
    _print(record)
    print(f"{title} {'passes' if record['passed'] else 'DOES NOT PASS'}.")
    print(f"Contact sheet: {output_dir / 'index.html'}")
    return 0 if record["passed"] else 1


def _print(record):
    for check, result in record["checks"].items():
        if "not_checked" in result:
            print(f"{check}: not checked, {result['not_checked']}.")
        if result["count"]:
            print(f"{check} ({result['severity']}): {result['count']}")
            for pair in result["pairs"][:10]:
                print(printing.one_line(f"    {pair['pair']}: {pair['message']}"))
            if result["count"] > 10:
                print(f"    and {result['count'] - 10} more, in doctor.json")
    if "geometry" in record:
        chosen = record["geometry"]
        print(
            f"Training would see {chosen['sentence']} ({chosen['reason']}); --preprocess "
            "chooses otherwise."
        )
