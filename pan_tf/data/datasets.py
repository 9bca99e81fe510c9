"""Data sets: what there is, which side is the source, and where the pairs come from."""

import dataclasses
import functools

import tensorflow as tf
from absl import logging

from pan_tf.config import UNALIGNED_NAMES
from pan_tf.data import bluemarble
from pan_tf.data import builders
from pan_tf.data import domains
from pan_tf.data import folder
from pan_tf.data import preprocessing
from pan_tf.data import published
from pan_tf.data import records
from pan_tf.data.sets import PairSet
from pan_tf.data.sets import UnalignedSet
from pan_tf.data.synthesis import SYNTHESES


@dataclasses.dataclass(frozen=True)
class OpenedData:
    """The splits of a data set, opened.

    Attributes:
        name: the data set's real name, also where it stands in for another.
        requested: the name that was asked for.
        direction: "AtoB" or "BtoA", which side is the source.
        flip: whether training pairs are mirrored, unless the configuration says.
        splits: the split's own name -> `PairSet` or `UnalignedSet`; "train" is always
            there.
        fingerprint: of the contents; equal data have equal fingerprints.
        synthesized: what the sources are made of targets by; None if they are given.
    """

    name: str
    requested: str
    direction: str
    flip: bool
    splits: dict
    fingerprint: str
    synthesized: str | None = None

    @property
    def train(self):
        """What to train on."""
        return self.splits["train"]

    @property
    def validation(self):
        """What to watch training by; None if there is none."""
        return self.splits.get("val", self.splits.get("test"))

    @property
    def held_out(self):
        """What to report on: a test split if there is one; None without any."""
        return self.splits.get("test", self.splits.get("val"))

    def describe(self):
        """What the manifest records."""
        return {
            "name": self.name,
            "requested": self.requested,
            "fallback": self.name != self.requested,
            "direction": self.direction,
            "flip": self.flip,
            "synthesized": self.synthesized,
            "train": _size(self.train),
            "validation": self.validation and _size(self.validation),
            "fingerprint": self.fingerprint,
        }


def _size(images):
    """What the manifest records of a split."""
    if isinstance(images, UnalignedSet):
        sizes = {"sources": len(images.source), "targets": len(images.target)}
        return {"split": images.split, **sizes}
    return {"split": images.split, "pairs": len(images)}


class DatasetNotFoundError(Exception):
    """The data set is not on disk, and could not be fetched."""


class NoPairsError(ValueError):
    """Targets that belong to their sources are needed, and there are none."""


# The side that is the source in the papers' task; recipes of the data sets themselves.
_DIRECTIONS = {
    "apple2orange": "AtoB",
    "bluemarble": "AtoB",  # Satellite image -> shaded relief.
    "celeb_a": "AtoB",  # Without the attribute -> with it.
    "celeba_hq": "AtoB",
    "cityscapes": "BtoA",  # Labels -> photo.
    "edges2handbags": "AtoB",
    "edges2shoes": "AtoB",
    "facades": "BtoA",  # Labels -> photo.
    "folder": "AtoB",
    "horse2zebra": "AtoB",
    "maps": "AtoB",  # Aerial photo -> map.
    "monet2photo": "AtoB",
    "photos": "AtoB",
    "rain100h": "AtoB",  # Rainy -> clean.
    "rain100l": "AtoB",
    "rain800": "BtoA",  # Clean | rainy.
}


def direction(config):
    """Which side is the source: "AtoB" or "BtoA"."""
    return config.direction or _DIRECTIONS[config.dataset]


def locate(config):
    """Decides which data set a run uses, and fetches it if need be.

    Args:
        config: `Config`.

    Returns:
        The configuration with `dataset` the one to use: its own, or, with a warning,
        `fallback_dataset`.

    Raises:
        DatasetNotFoundError: if it is not there and there is nothing to fall back to.
    """
    try:
        _require(config)
    except DatasetNotFoundError as error:
        if config.fallback_dataset in (None, config.dataset):
            raise
        fallback = config.replace(dataset=config.fallback_dataset)
        _require(fallback)
        logging.warning(
            "%s\n*** GOING ON WITH ANOTHER DATA SET, %r, since --fallback_dataset asks "
            "for it. ***",
            error,
            fallback.dataset,
        )
        return fallback
    return config


def _require(config):
    name, data_dir = config.dataset, config.data_dir
    if name == "bluemarble":
        return
    if name == "folder" and folder.exists(data_dir, "train"):
        return  # Whether pairs or two lists, is looked at when it is opened.
    if name == "celeba_hq":
        sentence = domains.missing_lists(config)
        if sentence:
            raise DatasetNotFoundError(sentence)
        return
    if name in _LISTINGS:
        if _LISTINGS[name](config)("train") is None:
            raise DatasetNotFoundError(_missing(name, data_dir))
        return
    source = domains if name in domains.BUILDERS else builders
    if source.is_prepared(name, data_dir):
        return
    reason = "--nodownload was given"
    if config.download:
        try:
            source.prepare(name, data_dir)
            return
        except FileNotFoundError as error:
            reason = str(error)
    raise DatasetNotFoundError(
        f"The data set {name!r} is not in --data_dir={data_dir}, and {reason}\n"
        "Prepare it, with a network or with the archive put at "
        f"{source.manual_path(name, data_dir)}, by:\n"
        f"    python scripts/prepare_data.py --dataset={name} --data_dir={data_dir}"
    )


def _missing(name, data_dir):
    if name == "folder":
        return f"No train/, nor trainA/ and trainB/, in --data_dir={data_dir}."
    if name == "photos":
        return f"No train/ in --data_dir={data_dir}."
    return published.missing(name, data_dir)


def open_data(config, requested=None, verified=None, aligned=True):
    """Opens a data set that is there, and checks its files.

    Args:
        config: `Config`.
        requested: name of the data set that was asked for, if it was another.
        verified: what `describe` gave when the same data were opened before; if no
            name or size has changed since then, files are not decoded again.
        aligned: whether targets must belong to sources. If not, pairs are taken apart
            for training and stay pairs for measuring; two folders are two lists, whatever
            the names of their files.

    Returns:
        `OpenedData`.

    Raises:
        FileNotFoundError: if a split is empty.
        NoPairsError: if there are no pairs where there must be.
        ValueError: if files are unusable; the message names them.
    """
    name = config.dataset
    if not aligned and config.synthesize != "none":
        raise ValueError(
            "--synthesize makes a source of each target, pairs that is; recipes for "
            f"unaligned sets need none. Received: synthesize={config.synthesize}."
        )
    if _has_lists_only(config, aligned):
        return _open_lists(config, requested, verified, aligned)
    synthesized = None if config.synthesize == "none" else config.synthesize
    if name == "photos" and synthesized is None:
        raise ValueError(
            "--dataset=photos has targets only: say what the sources are to be made of "
            f"them by, --synthesize={'|'.join(SYNTHESES)}."
        )
    make = {"bluemarble": _open_bluemarble}
    make |= dict.fromkeys(_LISTINGS, _open_files)
    splits, fingerprint = make.get(name, _open_builder)(config, verified)
    if direction(config) == "BtoA":
        splits = [_swapped(pairs) for pairs in splits]
    if synthesized is not None:
        synthesize = SYNTHESES[synthesized]
        splits = [dataclasses.replace(pairs, synthesize=synthesize) for pairs in splits]
    splits = {pairs.split: pairs for pairs in splits}
    if not aligned:
        splits["train"] = UnalignedSet.of(splits["train"])
    return OpenedData(
        name=name,
        requested=requested or name,
        direction=direction(config),
        # Relief is lit from the north-west; mirrored, it would be lit from elsewhere.
        flip=name != "bluemarble" if config.flip is None else config.flip,
        splits=splits,
        fingerprint=fingerprint,
        synthesized=synthesized,
    )


def _has_lists_only(config, aligned):
    if config.dataset == "folder":
        return not aligned and folder.has_two(config.data_dir, "train")
    return config.dataset in UNALIGNED_NAMES


def _open_lists(config, requested, verified, aligned):
    name = config.dataset
    if aligned:
        raise NoPairsError(
            f"The data set {name!r} has no pairs, only a list of images for each side."
        )
    splits, fingerprint = domains.open_domains(config, verified)
    if direction(config) == "BtoA":
        splits = [UnalignedSet(s.split, s.target, s.source) for s in splits]
    return OpenedData(
        name=name,
        requested=requested or name,
        direction=direction(config),
        flip=config.flip is not False,
        splits={each.split: each for each in splits},
        fingerprint=fingerprint,
    )


def _swapped(pairs):
    def load(index):
        a, b = pairs.load(index)
        return b, a

    return dataclasses.replace(pairs, load=load)


def _open_bluemarble(config, verified):
    def pair_set(split):
        tiles = bluemarble.cut(split, config.image_size)
        source, target = tf.constant(tiles.source), tf.constant(tiles.target)
        return PairSet(split, tiles.names, lambda i: (source[i], target[i]))

    return [pair_set("train"), pair_set("test")], bluemarble.fingerprint()


# Data sets that are files: config -> (split -> `Listing` or None).
_LISTINGS = {
    "folder": lambda config: functools.partial(folder.find, config.data_dir),
    "photos": lambda config: functools.partial(folder.find_photos, config.data_dir),
    **{
        name: lambda config: functools.partial(
            published.find, config.dataset, config.data_dir
        )
        for name in published.LAYOUTS
    },
}


def _open_files(config, verified):
    find = _LISTINGS[config.dataset](config)
    listings = {split: find(split) for split in ("train", "val", "test")}
    listings = {split: found for split, found in listings.items() if found}
    fingerprint = folder.fingerprint(list(listings.values()), verified)

    def pair_set(split):
        return PairSet(split, listings[split].names, _load_files(listings[split]))

    return [pair_set(split) for split in listings], fingerprint


def _load_files(listing):
    columns = [tf.constant([str(f) for f in c]) for c in zip(*listing.files, strict=True)]

    def load(index):
        sides = [preprocessing.decode(tf.io.read_file(c[index])) for c in columns]
        if listing.is_photos:
            return sides[0], sides[0]
        return preprocessing.halve(sides[0]) if listing.side_by_side else tuple(sides)

    return load


def _open_builder(config, verified):
    prepared = builders.builder(config.dataset, config.data_dir)

    def pair_set(split):
        load = records.image_loader(records.open_split(prepared, split), "pair")
        size = prepared.info.splits[split].num_examples
        names = tuple(f"{split}-{i:06d}" for i in range(size))
        return PairSet(split, names, lambda index: preprocessing.halve(load(index)))

    # The papers test on `val`, and so do we; most archives hold nothing else.
    splits = [pair_set("train"), pair_set("val")]
    return splits, records.fingerprint(prepared.info)
