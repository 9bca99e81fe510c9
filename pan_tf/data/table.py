"""The table of data sets. A named data set of a known layout is a new row."""

import dataclasses
from typing import Any

from pan_tf.data.layouts.archives import Archive
from pan_tf.data.layouts.bluemarble import BlueMarble
from pan_tf.data.layouts.folder import Folder
from pan_tf.data.layouts.folder import Photos
from pan_tf.data.layouts.pix2pix import Cityscapes
from pan_tf.data.layouts.pix2pix import Pix2pix
from pan_tf.data.layouts.published import NamedLists
from pan_tf.data.layouts.published import Published
from pan_tf.data.layouts.tfds import CelebA
from pan_tf.data.layouts.tfds import CycleGAN
from pan_tf.images import RGB
from pan_tf.images import ImageSpec


@dataclasses.dataclass(frozen=True)
class Dataset:
    """One row.

    Attributes:
        layout: see `layouts`.
        direction: which side is the source in the papers' task, or in that of the data
            set itself.
        paired: whether a target belongs to each source.
        has_sources: whether it has sources at all; if not, they are made of targets.
        has_attributes: whether --attribute parts its images into two lists.
        images: `ImageSpec`s of side A and of side B, unless flags say; where `is_own`,
            files say.
        flip: whether training examples are mirrored, unless the configuration says.
        archive: whether it is prepared from an archive.
        is_own: whether it is a user's own files, of any size.
        in_package: whether it comes with a Python package: --data_dir is not read.
    """

    layout: Any
    direction: str = "AtoB"
    paired: bool = True
    has_sources: bool = True
    has_attributes: bool = False
    images: tuple = (RGB, RGB)
    flip: bool = True
    archive: bool = False
    is_own: bool = False
    in_package: bool = False

    def __post_init__(self):
        if [type(side) for side in self.images] != [ImageSpec, ImageSpec]:
            raise ValueError(
                f"`images` must be two of ImageSpec. Received: {self.images}."
            )
        for side in self.images:
            if side.labels not in (None, side.channels):
                raise ValueError(
                    "A label map has as many channels as labels: ImageSpec(5, labels=5). "
                    f"Received: channels={side.channels}, labels={side.labels}."
                )
        if self.direction not in ("AtoB", "BtoA"):
            raise ValueError(f"{self.direction!r} is no direction: AtoB or BtoA.")
        if self.is_own and not hasattr(self.layout, "sides"):
            raise ValueError(
                f"{type(self.layout).__name__} has no `sides`: is_own is of files of any "
                "kind, which are looked at first."
            )

    def direction_of(self, config):
        """Which side is the source: a configuration's direction, or the data set's."""
        return config.direction or self.direction

    def images_of(self, config):
        """`ImageSpec`s of sources and of targets, in a configuration's direction."""
        return self.images[:: -1 if self.direction_of(config) == "BtoA" else 1]


_PIX2PIX = "https://efrosgans.eecs.berkeley.edu/pix2pix/datasets"
_CYCLEGAN = "https://efrosgans.eecs.berkeley.edu/cyclegan/datasets"
_YANG = "Yang et al., Deep Joint Rain Detection and Removal, CVPR 2017"
_SATELLITE_TO_MAP = "7519044b2725f55bc80e5a3db5d6f64f767a7b76421098c364c432ec82faf275"


def _rain100(density):
    train, test = f"rain_data_train_{density}", f"rain_data_test_{density}"
    splits = {
        "train": (f"{train}/rain", f"{train}/norain"),
        "test": (f"{test}/rain", f"{test}/norain"),
    }
    return Published(splits, _YANG, a_suffix="x2")


def _cyclegan(name):
    return CycleGAN(Archive(f"{_CYCLEGAN}/{name}.zip"))


def _pix2pix(name, **known):
    return Pix2pix(Archive(f"{_PIX2PIX}/{name}.tar.gz", **known))


DATASETS = {
    "apple2orange": Dataset(_cyclegan("apple2orange"), paired=False, archive=True),
    # Satellite image -> shaded relief, which is lit from the north-west; mirrored, it
    # would be lit from elsewhere.
    "bluemarble": Dataset(BlueMarble(), flip=False, in_package=True),
    "celeb_a": Dataset(  # Without the attribute -> with it.
        CelebA(
            Archive(
                "https://drive.google.com",
                (
                    "img_align_celeba.zip",
                    "list_eval_partition.txt",
                    "list_attr_celeba.txt",
                    "list_landmarks_align_celeba.txt",
                    "identity_CelebA.txt",
                ),
            )
        ),
        paired=False,
        has_attributes=True,
        archive=True,
    ),
    # As published with the Perceptual Discriminators paper.
    "celeba_hq": Dataset(
        NamedLists("celeba_hq", "lists_hq"), paired=False, has_attributes=True
    ),
    "cityscapes": Dataset(  # Labels -> photo.
        Cityscapes(Archive(f"{_PIX2PIX}/cityscapes.tar.gz", num_bytes=103_441_232)),
        "BtoA",
        archive=True,
    ),
    "edges2handbags": Dataset(_pix2pix("edges2handbags"), archive=True),
    "edges2shoes": Dataset(_pix2pix("edges2shoes"), archive=True),
    # Heights in colours -> shaded relief; lit as Blue Marble's.
    "etopo1": Dataset(BlueMarble("etopo1.jpg"), flip=False, in_package=True),
    "facades": Dataset(  # Labels -> photo.
        _pix2pix("facades", splits=("train", "val", "test"), num_bytes=30_168_306),
        "BtoA",
        archive=True,
    ),
    "folder": Dataset(Folder(), is_own=True),
    "horse2zebra": Dataset(_cyclegan("horse2zebra"), paired=False, archive=True),
    "maps": Dataset(  # Aerial photo -> map.
        _pix2pix("maps", num_bytes=250_242_400, sha256=_SATELLITE_TO_MAP), archive=True
    ),
    "monet2photo": Dataset(_cyclegan("monet2photo"), paired=False, archive=True),
    "photos": Dataset(Photos(), has_sources=False, is_own=True),
    "rain100h": Dataset(_rain100("Heavy")),  # Rainy -> clean.
    "rain100l": Dataset(_rain100("Light")),
    "rain800": Dataset(  # Clean | rainy.
        Published(
            {"train": "rain/training", "test": "rain/test_syn"}, "Zhang et al., ID-CGAN"
        ),
        "BtoA",
    ),
}
