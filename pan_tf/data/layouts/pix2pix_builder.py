"""The builder of TensorFlow Datasets for pix2pix's archives.

An archive holds folders `train`, `val` and sometimes `test` of JPEG files, A on the left
half and B on the right. The builder keeps each file's bytes as they are, in ArrayRecord
files, so that any example can be read at random: exact resume needs that.
"""

import dataclasses
import io
import pathlib
import tarfile
import zipfile
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

_CITYSCAPES_SIZE = 256  # Pixels a side, as in the pix2pix archive.


@dataclasses.dataclass
class PairsConfig(tfds.core.BuilderConfig):
    """One of the archives.

    Attributes:
        layout: its `Pix2pix`.
    """

    layout: object = None


class Pix2pixPairs(tfds.core.GeneratorBasedBuilder):
    """Side-by-side image pairs, of a `PairsConfig`."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "Initial release."}

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description="Image pairs side by side, A | B, as published with pix2pix.",
            features=tfds.features.FeaturesDict(
                {
                    "pair": tfds.features.Image(
                        shape=(None, None, 3), encoding_format="jpeg"
                    ),
                    "name": tfds.features.Text(),
                }
            ),
            homepage="https://phillipi.github.io/pix2pix/",
        )

    def _split_generators(self, dl_manager):
        name, layout = self.builder_config.name, self.builder_config.layout
        root = pathlib.Path(self.data_dir).parents[2]  # Of <name>/<config>/<version>.
        if official := layout.official(root):
            return {split: _cityscapes(*official, split) for split in ("train", "val")}
        (archive,) = layout.manual_paths(name, root)
        if not archive.is_file():
            archive = pathlib.Path(dl_manager.download(layout.archive.url))
        layout.archive.verify(archive)
        return {
            split: self._generate_examples(archive, f"{name}/{split}")
            for split in layout.archive.splits
        }

    def _generate_examples(self, archive, folder):
        # Not by way of TFDS, which would take what an archive of the same name left.
        number = 0
        with tarfile.open(archive) as members:
            for member in members:
                path = pathlib.PurePosixPath(member.name)
                if member.isfile() and str(path.parent) == folder:
                    if path.suffix == ".jpg":
                        file = members.extractfile(member)
                        yield path.name, {"pair": file, "name": path.stem}
                        number += 1
            # Its checksum stands at the end, and where a name is damaged the loop ends.
            while members.fileobj.read(2**20):
                pass
        if not number:
            raise FileNotFoundError(
                f"No {folder}/*.jpg in {archive}: not the published archive."
            )


def _cityscapes(photos, labels, split):
    """Examples of one split, from Cityscapes' own archives: photo | colours of labels.

    Squashed to a square as in the pix2pix archive. Labels take the nearest pixel, so that
    no colour appears that is no class's.
    """
    size = (_CITYSCAPES_SIZE, _CITYSCAPES_SIZE)
    with zipfile.ZipFile(photos) as left, zipfile.ZipFile(labels) as right:
        names = sorted(
            name
            for name in left.namelist()
            if name.startswith(f"leftImg8bit/{split}/") and name.endswith(".png")
        )
        if not names:
            raise FileNotFoundError(f"No leftImg8bit/{split}/*.png in {photos}.")
        for name in names:
            stem = pathlib.PurePosixPath(name).name.removesuffix("_leftImg8bit.png")
            label = f"gtFine/{split}/{stem.split('_')[0]}/{stem}_gtFine_color.png"
            try:
                with left.open(name) as file:
                    photo = Image.open(file, formats=["PNG"]).convert("RGB")
                    photo = photo.resize(size, Image.LANCZOS)
                with right.open(label) as file:
                    label = Image.open(file, formats=["PNG"]).convert("RGB")
                    label = label.resize(size, Image.NEAREST)
            except KeyError:
                raise FileNotFoundError(f"No {label} in {labels}.") from None
            encoded = io.BytesIO()
            pair = np.concatenate([np.asarray(photo), np.asarray(label)], axis=1)
            Image.fromarray(pair).save(encoded, "jpeg", quality=100, subsampling=0)
            encoded.seek(0)
            yield stem, {"pair": encoded, "name": stem}
