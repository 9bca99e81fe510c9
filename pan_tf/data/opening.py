"""Opening a data set: finds it, fetches it if need be, and makes its splits."""

import dataclasses
import hashlib

from absl import logging

from pan_tf import fingerprints
from pan_tf.data.file_sizes import choose
from pan_tf.data.geometry import Geometry
from pan_tf.data.layouts import listing
from pan_tf.data.layouts.listing import SPLITS
from pan_tf.data.layouts.verification import Verification
from pan_tf.data.specs import specs as found_specs
from pan_tf.data.split import LOOKED_AT
from pan_tf.data.split import NoPairsError
from pan_tf.data.synthesis import SYNTHESES
from pan_tf.data.table import DATASETS
from pan_tf.images import RGB
from pan_tf.images import ImageSpec


class DatasetNotFoundError(Exception):
    """The data set is not on disk, and could not be fetched."""


@dataclasses.dataclass(frozen=True)
class OpenedData:
    """The splits of a data set, opened.

    Attributes:
        name: the data set's real name, also where it stands in for another.
        requested: the name that was asked for.
        direction: "AtoB" or "BtoA", which side is the source.
        flip: whether training examples are mirrored.
        splits: the split's own name -> `Split`; "train" is there unless `open_data` was
            told that it need not be.
        fingerprint: of the contents, see `fingerprints`.
        geometry: `Geometry` of training, with the sizes of its files.
        source, target: `ImageSpec`s.
        synthesized: what the sources are made of targets by; None if they are given.
        verification: `Verification` that reads the files yet, whose contents the
            fingerprint does not know; None where all are read.
    """

    name: str
    requested: str
    direction: str
    flip: bool
    splits: dict
    fingerprint: str
    geometry: Geometry
    source: ImageSpec = RGB
    target: ImageSpec = RGB
    synthesized: str | None = None
    verification: Verification | None = None

    @property
    def train(self):
        """What to train on; None where it need not be there, and is not."""
        return self.splits.get("train")

    @property
    def validation(self):
        """What to watch training by; None if there is none."""
        return self.splits.get("val", self.splits.get("test"))

    @property
    def held_out(self):
        """What to report on: a test split if there is one; None without any."""
        return self.splits.get("test", self.splits.get("val"))

    def __str__(self):
        """Its name, splits and geometry, a line for a user."""
        asked, reason = self.requested, self.geometry.reason
        return (
            self.name
            + (f" (in place of {asked})" if asked != self.name else "")
            + f": {self.train}, {self.validation or 'no validation'}; {self.geometry}"
            + (f" (chosen: {reason})" if reason else "")
        )

    def names(self):
        """sha256 of the names of all images: of what stays when files are restored."""
        digest = hashlib.sha256()
        for name, split in self.splits.items():
            for side in (split.source, split.target):
                every = "\n".join((name, *map(str, side.names)))
                digest.update(every.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def describe(self):
        """What the manifest records."""
        return {
            "name": self.name,
            "requested": self.requested,
            "fallback": self.name != self.requested,
            "direction": self.direction,
            "flip": self.flip,
            "synthesized": self.synthesized,
            "geometry": self.geometry.to_json(),
            "images": {
                "source": self.source.to_json(),
                "target": self.target.to_json(),
            },
            "train": self.train and self.train.describe(),
            "validation": self.validation and self.validation.describe(),
            "fingerprint": self.fingerprint,
        }


def direction(config):
    """Which side is the source: "AtoB" or "BtoA"."""
    return DATASETS[config.dataset].direction_of(config)


def locate(config, needs_train=True):
    """Decides which data set a run uses, and fetches it if need be.

    Args:
        config: `Config`.
        needs_train: whether there must be something to train on; else any split will do.

    Returns:
        The configuration with `dataset` the one to use: its own, or, with a warning,
        `fallback_dataset`.

    Raises:
        DatasetNotFoundError: if it is not there and there is nothing to fall back to.
    """
    try:
        _require(config, needs_train)
    except DatasetNotFoundError as error:
        if config.fallback_dataset in (None, config.dataset):
            raise
        fallback = config.replace(dataset=config.fallback_dataset)
        _require(fallback, needs_train)
        logging.warning(
            "%s\n*** GOING ON WITH ANOTHER DATA SET, %r, since --fallback_dataset asks "
            "for it. ***",
            error,
            fallback.dataset,
        )
        return fallback
    return config


def _require(config, needs_train):
    _check_data_dir(config)
    splits = SPLITS[:1] if needs_train else SPLITS
    layout = DATASETS[config.dataset].layout
    sentence = layout.missing(config.dataset, config, splits)
    if sentence:
        raise DatasetNotFoundError(sentence)


def _check_data_dir(config):
    """Raises ValueError for a user's own images that the data set would not read."""
    name, row = config.dataset, DATASETS[config.dataset]
    is_asked_for = config.data_dir != type(config).data_dir  # The field's default.
    reads = row.is_own or not (row.archive or row.in_package)
    if reads or not is_asked_for or not listing.exists(config.data_dir, "train"):
        return
    if row.archive and row.layout.is_prepared(name, config.data_dir):
        return
    raise ValueError(
        f"--data_dir={config.data_dir} holds images to train on, which --dataset={name} "
        "does not read. To use them, add --dataset=folder."
    )


def check_paired(name):
    """Raises NoPairsError for a data set that never has pairs; looks at no file."""
    if not DATASETS[name].paired:
        raise NoPairsError(
            f"The data set {name!r} has no pairs, only a list of images for each side."
        )


def open_data(
    config, requested=None, verified=None, paired=True, specs=None, patience=None
):
    """Opens a data set that is there, and checks its files.

    Args:
        config: `Config`.
        requested: name of the data set that was asked for, if it was another.
        verified: what `describe` gave when the same data were opened before; if no
            name or size has changed since then, files are not decoded again.
        paired: whether targets must belong to sources. If not, pairs are taken apart for
            training and stay pairs for measuring; two folders are two lists, whatever the
            names of their files.
        specs: `ImageSpec` of sources and of targets, as a run has them; None: as the
            configuration and the training images have it.
        patience: seconds in which all files must be read, or go on being read while the
            first are used; None: all are read.

    Returns:
        `OpenedData`.

    Raises:
        FileNotFoundError: if a split is empty.
        NoPairsError: if there are no pairs where there must be.
        ValueError: if files are unusable; the message names them.
    """
    name, row = config.dataset, DATASETS[config.dataset]
    synthesized = None if config.synthesize == "none" else config.synthesize
    if not paired and synthesized:
        raise ValueError(
            "--synthesize makes a source of each target, pairs that is; recipes for "
            f"unpaired sets need none. Received: synthesize={synthesized}."
        )
    if not row.has_sources and synthesized is None:
        raise ValueError(
            f"--dataset={name} has targets only: --synthesize must say what makes "
            f"sources of them, {'|'.join(SYNTHESES)}."
        )
    if paired:
        check_paired(name)
    # Side A, then side B.
    source, target = specs or found_specs(config)
    is_swapped = direction(config) == "BtoA"
    sides = (target, source) if is_swapped else (source, target)
    opened = row.layout.open(name, config, verified, paired, sides)
    splits, fingerprint, verification = opened
    if verification and verification.wait(patience):
        fingerprint, verification = verification.fingerprint(), None
    splits = [split.with_specs(*sides) for split in splits]
    if is_swapped:
        splits = [split.swapped() for split in splits]
    if synthesized:
        synthesize = SYNTHESES[synthesized]
        splits = [dataclasses.replace(split, synthesize=synthesize) for split in splits]
    splits = {split.name: split for split in splits}
    if not paired and "train" in splits:
        splits["train"] = splits["train"].unpaired()
    geometry = None
    if verified and fingerprints.same_files(verified["fingerprint"], fingerprint):
        geometry = Geometry.from_json(verified.get("geometry"))
    if geometry is None or not _has_asked_for(geometry, config):
        # By what is trained on, or by what is there in its place.
        looked_at = next(splits[name] for name in SPLITS if name in splits)
        geometry = _geometry(config, row, looked_at, verification)
    return OpenedData(
        name=name,
        requested=requested or name,
        direction=direction(config),
        flip=row.flip if config.flip is None else config.flip,
        splits=splits,
        fingerprint=fingerprint,
        geometry=geometry,
        source=source,
        target=target,
        synthesized=synthesized,
        verification=verification,
    )


def geometry_asked_for(config):
    """The `Geometry` of a configuration that names a --preprocess, without its files."""
    return Geometry(config.preprocess, config.image_size, config.jittered_size)


def geometry_of_own(sizes, config, what="images"):
    """The `Geometry` of a user's own files, chosen by them where it is not asked for.

    Args:
        sizes: int `[N, 2]`, height and width of the training images.
        config: `Config`.
        what: "pairs" or "images".
    """
    reason = None
    if config.preprocess is None:
        mode, reason = choose(sizes, config.image_size)
        if mode == "crop" and config.load_size:
            mode, reason = "scale", "--load_size is given"
        config = config.replace(preprocess=mode)
    geometry = geometry_asked_for(config).with_files(sizes, what)
    return dataclasses.replace(geometry, reason=reason)


def _geometry(config, row, split, verification):
    """`Geometry` of training: of named data sets the papers', unless it is asked for."""
    if config.preprocess is None and not row.is_own:
        config = config.replace(preprocess="squash")
    what = "pairs" if split.paired else "images"
    sizes = split.sizes(LOOKED_AT)
    if not len(sizes) and verification:
        verification.fingerprint()  # No header can be read: it names the files.
    return geometry_of_own(sizes, config, what)


def _has_asked_for(geometry, config):
    if config.preprocess is None:
        config = config.replace(preprocess=geometry.preprocess)
    asked = geometry_asked_for(config)
    return asked == dataclasses.replace(geometry, files=None, reason=None)
