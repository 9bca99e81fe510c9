"""What a split of a data set is: a list of pairs, or a list of images for each side."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf


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
class ImageSet:
    """The images of one domain, a numbered list.

    Attributes:
        names: one an image.
        load: graph function, int64 scalar -> uint8 `[H, W, 3]`.
        attributes: function without arguments, for it takes a while, that gives what is
            known of the images, `[N, A]` of 0 and 1; None where nothing is.
    """

    names: tuple
    load: Callable
    attributes: Callable | None = None

    def __len__(self):
        return len(self.names)

    def subset(self, places):
        """An `ImageSet` of some of the images, by their numbers."""
        chosen = np.asarray(places, np.int64)
        return ImageSet(
            tuple(self.names[i] for i in chosen),
            lambda index: self.load(tf.constant(chosen)[index]),
            self.attributes and (lambda: self.attributes()[chosen]),
        )


@dataclasses.dataclass(frozen=True)
class UnalignedSet:
    """One split of a data set whose targets belong to no source.

    Attributes:
        split: the split's own name in the data set.
        source: `ImageSet`.
        target: `ImageSet`.
    """

    split: str
    source: ImageSet
    target: ImageSet

    def __len__(self):
        """Examples in an epoch: those of the longer list."""
        return max(len(self.source), len(self.target))

    @property
    def num_together(self):
        """How many numbers both lists have."""
        return min(len(self.source), len(self.target))

    def load(self, index):
        """(source, target) of one number, which have nothing else in common."""
        return self.source.load(index), self.target.load(index)

    def subset(self, places):
        """An `UnalignedSet` of some numbers that both lists have."""
        source, target = (side.subset(places) for side in (self.source, self.target))
        return UnalignedSet(self.split, source, target)

    @classmethod
    def of(cls, pairs):
        """The same images, without saying which belong together."""

        def side(place):
            return ImageSet(pairs.names, lambda index: pairs.load(index)[place])

        return cls(pairs.split, side(0), side(1))
