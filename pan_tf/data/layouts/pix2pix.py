"""Pairs that pix2pix published as archives, through a TFDS builder of our own."""

import dataclasses
import pathlib

from pan_tf.data import preprocessing
from pan_tf.data import records
from pan_tf.data.layouts import archives
from pan_tf.data.split import Split

# Cityscapes' own archives, for those who have an account there: photos and labels. The
# authors do not allow others to pass the images on, as the pix2pix archive does.
CITYSCAPES_ARCHIVES = ("leftImg8bit_trainvaltest.zip", "gtFine_trainvaltest.zip")


@dataclasses.dataclass(frozen=True)
class Pix2pix(archives.Archived):
    """The layout of one archive."""

    def builder(self, name, data_dir):
        """The builder of a data set under `data_dir`, prepared or not."""
        # Not at the top: TFDS is a tenth of all that is imported, and few runs need it.
        from pan_tf.data.layouts import pix2pix_builder

        config = pix2pix_builder.PairsConfig(name=name, layout=self)
        return pix2pix_builder.Pix2pixPairs(
            config=config, data_dir=data_dir, file_format="array_record"
        )

    def official(self, data_dir):
        """Paths of other archives that are there, to be used in place of this one."""
        return None

    def open(self, name, config, verified, paired, specs):
        prepared = self.builder(name, config.data_dir)

        def split_of(split):
            found = records.open_split(prepared, split)
            load = records.image_loader(found, "pair")
            size = prepared.info.splits[split].num_examples
            names = tuple(f"{split}-{i:06d}" for i in range(size))

            def load_pair(index):
                sides = preprocessing.halve(load(index))
                pairs = zip(sides, specs, strict=True)
                return tuple(spec.convert(side) for side, spec in pairs)

            return Split.of_pairs(split, names, load_pair)

        # The papers test on `val`, and so do we; most archives hold nothing else.
        held_out = "val" if "val" in prepared.info.splits else "test"
        splits = [split_of("train"), split_of(held_out)]
        return splits, records.fingerprint(prepared.info), None


class Cityscapes(Pix2pix):
    """The archive of pix2pix, or Cityscapes' own two."""

    or_else = f", or {' and '.join(CITYSCAPES_ARCHIVES)} beside it,"

    def official(self, data_dir):
        folder = pathlib.Path(data_dir) / "downloads" / "manual"
        paths = [folder / name for name in CITYSCAPES_ARCHIVES]
        return paths if all(path.is_file() for path in paths) else None

    def at_hand(self, name, data_dir):
        return self.official(data_dir) or super().at_hand(name, data_dir)

    def is_at_hand(self, name, data_dir):
        return super().is_at_hand(name, data_dir) or bool(self.official(data_dir))
