"""TFDS builder of the paired data sets that pix2pix published as archives.

An archive holds folders `train`, `val` and sometimes `test` of JPEG files, A on the left
half and B on the right. The builder keeps each file's bytes as they are, in ArrayRecord
files, so that any example can be read at random: exact resume needs that.
"""

import dataclasses
import hashlib
import io
import pathlib
import socket
import urllib.parse
import zipfile
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from PIL import Image

# Cityscapes' own archives, for those who have an account there: photos and labels. The
# authors do not allow others to pass the images on, as the pix2pix archive does.
CITYSCAPES_ARCHIVES = ("leftImg8bit_trainvaltest.zip", "gtFine_trainvaltest.zip")
_CITYSCAPES_SIZE = 256  # Pixels a side, as in the pix2pix archive.

BASE_URL = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/"


@dataclasses.dataclass(frozen=True)
class Archive:
    """What is known of a published `<name>.tar.gz`.

    Attributes:
        splits: its folders.
        num_bytes: exact size, where it has been published.
        sha256: where it has been published.
    """

    splits: tuple
    num_bytes: int | None = None
    sha256: str | None = None


ARCHIVES = {
    "cityscapes": Archive(("train", "val"), 103_441_232),
    "edges2handbags": Archive(("train", "val")),
    "edges2shoes": Archive(("train", "val")),
    "facades": Archive(("train", "val", "test"), 30_168_306),
    "maps": Archive(
        ("train", "val"),
        250_242_400,
        "7519044b2725f55bc80e5a3db5d6f64f767a7b76421098c364c432ec82faf275",
    ),
}


class Pix2pixPairs(tfds.core.GeneratorBasedBuilder):
    """Side-by-side image pairs; one config for each of `ARCHIVES`."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "Initial release."}
    BUILDER_CONFIGS: ClassVar = [tfds.core.BuilderConfig(name=name) for name in ARCHIVES]

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
        name = self.builder_config.name
        root = pathlib.Path(self.data_dir).parents[2]  # Of <name>/<config>/<version>.
        if name == "cityscapes" and (official := official_cityscapes(root)):
            return {split: _cityscapes(*official, split) for split in ("train", "val")}
        archive = manual_path(name, root)
        if not archive.is_file():
            archive = pathlib.Path(dl_manager.download(f"{BASE_URL}{name}.tar.gz"))
        verify_archive(archive, name)
        # TFDS names a download by a hash; its method has to be told.
        resource = tfds.download.Resource(
            path=archive, extract_method=tfds.download.ExtractMethod.TAR_GZ
        )
        root = pathlib.Path(dl_manager.extract(resource)) / name
        return {
            split: self._generate_examples(root / split)
            for split in ARCHIVES[name].splits
        }

    def _generate_examples(self, folder):
        files = sorted(folder.glob("*.jpg"))
        if not files:
            raise FileNotFoundError(f"No *.jpg in {folder}: not the published archive.")
        for file in files:
            yield file.name, {"pair": file, "name": file.stem}


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
                    photo = Image.open(file).convert("RGB").resize(size, Image.LANCZOS)
                with right.open(label) as file:
                    label = Image.open(file).convert("RGB").resize(size, Image.NEAREST)
            except KeyError:
                raise FileNotFoundError(f"No {label} in {labels}.") from None
            encoded = io.BytesIO()
            pair = np.concatenate([np.asarray(photo), np.asarray(label)], axis=1)
            Image.fromarray(pair).save(encoded, "jpeg", quality=100, subsampling=0)
            encoded.seek(0)
            yield stem, {"pair": encoded, "name": stem}


def official_cityscapes(data_dir):
    """Paths of Cityscapes' own archives, if both are there; else None."""
    folder = manual_path("cityscapes", data_dir).parent
    paths = [folder / name for name in CITYSCAPES_ARCHIVES]
    return paths if all(path.is_file() for path in paths) else None


def verify_archive(path, name):
    """Compares an archive with what has been published of it.

    Raises:
        ValueError: if its size or its sha256 is another.
    """
    known = ARCHIVES[name]
    size = path.stat().st_size
    if known.num_bytes is not None and size != known.num_bytes:
        raise ValueError(
            f"{path} must have {known.num_bytes} bytes to be the published "
            f"{name}.tar.gz. Received: {size} bytes; delete it and prepare again."
        )
    with open(path, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if known.sha256 is None:
        logging.warning(
            "No checksum of %s.tar.gz has been published; this one has sha256 %s.",
            name,
            sha256,
        )
    elif sha256 != known.sha256:
        raise ValueError(
            f"{path} must have sha256 {known.sha256} to be the published "
            f"{name}.tar.gz. Received: {sha256}; delete it and prepare again."
        )


def builder(name, data_dir):
    """The builder of a data set under `data_dir`, prepared or not."""
    return Pix2pixPairs(config=name, data_dir=data_dir, file_format="array_record")


def manual_path(name, data_dir):
    """Where an archive is looked for before it is downloaded."""
    return pathlib.Path(data_dir) / "downloads" / "manual" / f"{name}.tar.gz"


def is_prepared(name, data_dir):
    """Whether the data set lies prepared under `data_dir`."""
    return (pathlib.Path(builder(name, data_dir).data_dir) / "dataset_info.json").exists()


def prepare(name, data_dir):
    """Makes the data set from its archive, which is downloaded if it is not there.

    Raises:
        FileNotFoundError: if there is neither an archive nor a way to its host.
        ValueError: if the archive is not the published one.
    """
    archive = manual_path(name, data_dir)
    is_cityscapes = name == "cityscapes"
    is_there = archive.is_file() or (is_cityscapes and official_cityscapes(data_dir))
    if not is_there and not host_answers(BASE_URL):
        raise FileNotFoundError(
            f"{BASE_URL}{name}.tar.gz cannot be reached. Put the archive at {archive}"
            + (f", or {' and '.join(CITYSCAPES_ARCHIVES)} beside it," * is_cityscapes)
            + " and run the command again."
        )
    builder(name, data_dir).download_and_prepare(
        download_dir=pathlib.Path(data_dir) / "downloads"
    )


def host_answers(url, seconds=5.0):
    """TFDS retries a download without a network for minutes; ask first."""
    url = urllib.parse.urlsplit(url)
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        socket.create_connection((url.hostname, port), seconds).close()
    except OSError:
        return False
    return True
