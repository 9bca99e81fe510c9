"""Data sets: what there is, which side is the source, and where the pairs come from."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from absl import logging

from pan_tf.data import bluemarble
from pan_tf.data import builders
from pan_tf.data import folder
from pan_tf.data import preprocessing
from pan_tf.data import published
from pan_tf.data.synthesis import SYNTHESES


@dataclasses.dataclass(frozen=True)
class PairSet:
    """One split of a data set: a numbered list of image pairs.

    Attributes:
        split: the split's own name in the data set.
        names: one a pair.
        load: graph function, int64 scalar -> (source, target), uint8 `[H, W, 3]`.
        synthesize: graph function (target, seed) that makes the source, see `synthesis`;
            None where `load` gives it.
        number: graph function, int64 scalar -> a pair's number in the whole split.
    """

    split: str
    names: tuple
    load: Callable
    synthesize: Callable | None = None
    number: Callable = lambda index: index

    def __len__(self):
        return len(self.names)

    def subset(self, places):
        """A `PairSet` of some of the pairs, by their numbers."""
        chosen = np.asarray(places, np.int64)

        def place(index):
            return tf.constant(chosen)[index]

        return dataclasses.replace(
            self,
            names=tuple(self.names[i] for i in chosen),
            load=lambda index: self.load(place(index)),
            number=lambda index: self.number(place(index)),
        )


@dataclasses.dataclass(frozen=True)
class PairedData:
    """The splits of a data set, opened.

    Attributes:
        name: the data set's real name, also where it stands in for another.
        requested: the name that was asked for.
        direction: "AtoB" or "BtoA", which side is the source.
        flip: whether training pairs are mirrored, unless the configuration says.
        splits: the split's own name -> `PairSet`; "train" is always there.
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
        """`PairSet` to train on."""
        return self.splits["train"]

    @property
    def validation(self):
        """`PairSet` to watch and to choose checkpoints by; None if there is none."""
        return self.splits.get("val", self.splits.get("test"))

    @property
    def held_out(self):
        """`PairSet` to report on: a test split if there is one; None without any."""
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
            "train": {"split": self.train.split, "pairs": len(self.train)},
            "validation": self.validation
            and {"split": self.validation.split, "pairs": len(self.validation)},
            "fingerprint": self.fingerprint,
        }


class DatasetNotFoundError(Exception):
    """The data set is not on disk, and could not be fetched."""


# The side that is the source in the papers' task; recipes of the data sets themselves.
_DIRECTIONS = {
    "bluemarble": "AtoB",  # Satellite image -> shaded relief.
    "cityscapes": "BtoA",  # Labels -> photo.
    "edges2handbags": "AtoB",
    "edges2shoes": "AtoB",
    "facades": "BtoA",  # Labels -> photo.
    "folder": "AtoB",
    "maps": "AtoB",  # Aerial photo -> map.
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
    if name in _LISTINGS:
        if _LISTINGS[name](config)("train") is None:
            raise DatasetNotFoundError(_missing(name, data_dir))
        return
    if builders.is_prepared(name, data_dir):
        return
    reason = "--nodownload was given"
    if config.download:
        try:
            builders.prepare(name, data_dir)
            return
        except FileNotFoundError as error:
            reason = str(error)
    raise DatasetNotFoundError(
        f"The data set {name!r} is not in --data_dir={data_dir}, and {reason}\n"
        "Prepare it, with a network or with the archive put at "
        f"{builders.manual_path(name, data_dir)}, by:\n"
        f"    python scripts/prepare_data.py --dataset={name} --data_dir={data_dir}"
    )


def _missing(name, data_dir):
    if name == "folder":
        return f"No train/, nor trainA/ and trainB/, in --data_dir={data_dir}."
    if name == "photos":
        return f"No train/ in --data_dir={data_dir}."
    return published.missing(name, data_dir)


def open_data(config, requested=None, verified=None):
    """Opens a data set that is there, and checks its files.

    Args:
        config: `Config`.
        requested: name of the data set that was asked for, if it was another.
        verified: what `describe` gave when the same data were opened before; if no
            name or size has changed since then, files are not decoded again.

    Returns:
        `PairedData`.

    Raises:
        FileNotFoundError: if a split is empty.
        ValueError: if files are unusable; the message names them.
    """
    name = config.dataset
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
    return PairedData(
        name=name,
        requested=requested or name,
        direction=direction(config),
        # Relief is lit from the north-west; mirrored, it would be lit from elsewhere.
        flip=name != "bluemarble" if config.flip is None else config.flip,
        splits={pairs.split: pairs for pairs in splits},
        fingerprint=fingerprint,
        synthesized=synthesized,
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
    listing = folder.listing_fingerprint(listings.values())
    if verified and verified["fingerprint"].startswith(listing):
        fingerprint = verified["fingerprint"]
    else:
        fingerprint = f"{listing}:{folder.verify(listings.values())}"

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
    import tensorflow_datasets as tfds

    prepared = builders.builder(config.dataset, config.data_dir)

    def pair_set(split):
        records = prepared.as_data_source(
            split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
        )
        feature = {"pair": tf.io.FixedLenFeature([], tf.string)}

        def load(index):
            # Python only fetches bytes; parsing and decoding stay in the graph.
            record = tf.numpy_function(
                lambda i: np.array(records[int(i)], object), [index], tf.string
            )
            record = tf.ensure_shape(record, [])
            pair = tf.io.parse_single_example(record, feature)["pair"]
            return preprocessing.halve(preprocessing.decode(pair))

        size = prepared.info.splits[split].num_examples
        return PairSet(split, tuple(f"{split}-{i:06d}" for i in range(size)), load)

    info = prepared.info
    checksums = [f"{s.name}:{s.num_examples}:{s.num_bytes}" for s in info.splits.values()]
    fingerprint = f"{info.full_name} {' '.join(sorted(checksums))}"
    # The papers test on `val`, and so do we; most archives hold nothing else.
    return [pair_set("train"), pair_set("val")], fingerprint
