"""What a split of a data set is: two numbered lists of images, paired or not."""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import tensorflow as tf

from pan_tf import images
from pan_tf.data.synthesis import Synthesis

# Images whose headers are looked at, to see what a data set is like; all are read before
# they are relied on. Where there are no headers, images that are decoded for their size.
LOOKED_AT, _DECODED = 10_000, 64
_HELD_OUT = -1  # In place of a seed, where none is to matter.


def evenly(count, limit):
    """At most so many of the numbers below `count`, spread evenly: int64 `[n]`."""
    if limit is None or count <= limit:
        return np.arange(count)
    return np.linspace(0, count - 1, limit).round().astype(np.int64)


class NoPairsError(ValueError):
    """Targets that belong to their sources are needed, and there are none."""


@dataclasses.dataclass(frozen=True)
class Images:
    """A numbered list of images.

    Attributes:
        names: one an image.
        load: graph function, int64 scalar -> uint8 or uint16 `[H, W, C]`.
        attributes: function without arguments, for it takes a while, that gives what is
            known of the images, `[N, A]` of 0 and 1; None where nothing is.
        spec: `ImageSpec`.
        read_sizes: function (numbers of images) that gives height and width of each, int
            `[n, 2]`; None where an image must be decoded for that.
    """

    names: tuple
    load: Callable
    attributes: Callable | None = None
    read_sizes: Callable | None = None
    spec: images.ImageSpec = images.RGB
    synthesize: ClassVar = None  # None is made of another, as of a `Split`.

    def __len__(self):
        return len(self.names)

    @property
    def num_together(self):
        """How many numbers there are, as of a `Split`."""
        return len(self)

    def example(self, index, view):
        """What is measured by a number; `{"image"}`, arguments as of `Split.example`."""
        return {"image": view((self.load(index),), (self.spec,))[0]}

    def sizes(self, limit=None):
        """Height and width, int `[n, 2]`: of each, or of at most so many.

        Where images must be decoded for it, of a few.
        """
        if self.read_sizes is not None:
            return self.read_sizes(evenly(len(self), limit))
        some = evenly(len(self), _DECODED)
        return np.array([tf.shape(self.load(tf.constant(i)))[:2] for i in some])

    def subset(self, places):
        """Some of the images, by their numbers."""
        chosen = np.asarray(places, np.int64)
        attributes, read_sizes = self.attributes, self.read_sizes
        return Images(
            tuple(self.names[i] for i in chosen),
            lambda index: self.load(tf.constant(chosen)[index]),
            attributes and (lambda: attributes()[chosen]),
            read_sizes and (lambda places: read_sizes(chosen[places])),
            self.spec,
        )

    def converted(self, spec):
        """The images with the channels and bits of an `ImageSpec`."""
        load = lambda index: spec.convert(self.load(index))  # noqa: E731
        return dataclasses.replace(self, load=load, spec=spec)

    def at_most(self, limit):
        """As many images as a limit, spread over the list."""
        count = min(limit, len(self))
        return self.subset(np.arange(count) * len(self) // count)


@dataclasses.dataclass(frozen=True)
class Split:
    """One split of a data set.

    Attributes:
        name: the split's own name in the data set.
        source: `Images`.
        target: `Images`.
        load_pair: graph function, int64 scalar -> (source, target), as `Images.load`
            each, where a target belongs to each source; None where none does.
        synthesize: `synthesis.Synthesis` that makes the source of (target, seed); None
            where `load_pair` gives it.
        number: graph function, int64 scalar -> a pair's number in the whole split.
    """

    name: str
    source: Images
    target: Images
    load_pair: Callable | None = None
    synthesize: Synthesis | None = None
    number: Callable = lambda index: index

    @classmethod
    def of_pairs(cls, name, names, load_pair, read_sizes=None):
        """A split of pairs, which are loaded together and are of one size."""

        def side(place):
            load = lambda index: load_pair(index)[place]  # noqa: E731
            return Images(names, load, read_sizes=read_sizes)

        return cls(name, side(0), side(1), load_pair)

    def with_specs(self, source, target):
        """The same, knowing what its images are."""
        return dataclasses.replace(
            self,
            source=dataclasses.replace(self.source, spec=source),
            target=dataclasses.replace(self.target, spec=target),
        )

    @property
    def specs(self):
        """(`ImageSpec` of sources, of targets)."""
        return self.source.spec, self.target.spec

    @property
    def paired(self):
        """Whether a target belongs to each source."""
        return self.load_pair is not None

    @property
    def by_middle(self):
        """Whether only middles of images are measured: of what is made, or no pairs."""
        return not self.paired or self.synthesize is not None

    @property
    def lacks_centre(self):
        """Whether all that its sources lack of their targets is the centre."""
        return self.synthesize is not None and self.synthesize.cuts_centre

    def __len__(self):
        """Examples in an epoch: those of the longer list."""
        return max(len(self.source), len(self.target))

    @property
    def num_together(self):
        """How many numbers both lists have."""
        return min(len(self.source), len(self.target))

    def sizes(self, limit=None):
        """Height and width of its images, int `[n, 2]`: of pairs once.

        Args:
            limit: of each list, how many are looked at; None: all.
        """
        if self.paired:
            return self.target.sizes(limit)
        return np.concatenate([self.source.sizes(limit), self.target.sizes(limit)])

    def load(self, index):
        """(source, target) of one number; without pairs they have no more in common."""
        if self.load_pair is not None:
            return self.load_pair(index)
        return self.source.load(index), self.target.load(index)

    def example(self, index, view):
        """What is measured by a number, in a graph.

        Args:
            index: int64 scalar, below `num_together`.
            view: `Geometry.whole` or `Geometry.centre`.

        Returns:
            `{"source", "target"}`, float32 `[H, W, C]` in [-1, 1].
        """
        if not self.paired:  # They may differ in size.
            sides = zip(self.load(index), self.specs, strict=True)
            source, target = (view((image,), (spec,))[0] for image, spec in sides)
            return {"source": source, "target": target}
        source, target = view(self.load(index), self.specs)
        if self.synthesize:
            # Not a number of training; of its place among all pairs of the split.
            seed = tf.stack([tf.constant(_HELD_OUT, tf.int64), self.number(index)])
            source = self.synthesize(target, seed)
        return {"source": source, "target": target}

    def subset(self, places):
        """Some numbers that both lists have."""
        chosen, load_pair = np.asarray(places, np.int64), self.load_pair

        def place(index):
            return tf.constant(chosen)[index]

        return dataclasses.replace(
            self,
            source=self.source.subset(chosen),
            target=self.target.subset(chosen),
            load_pair=load_pair and (lambda index: load_pair(place(index))),
            number=lambda index: self.number(place(index)),
        )

    def swapped(self):
        """The same, with source and target exchanged."""
        load_pair = self.load_pair
        return dataclasses.replace(
            self,
            source=self.target,
            target=self.source,
            load_pair=load_pair and (lambda index: load_pair(index)[::-1]),
        )

    def unpaired(self):
        """The same images, without saying which belong together."""
        return dataclasses.replace(self, load_pair=None)

    def at_most(self, limit):
        """As many images of each list as a limit, spread over it; unpaired."""
        source, target = (side.at_most(limit) for side in (self.source, self.target))
        return dataclasses.replace(self.unpaired(), source=source, target=target)

    def describe(self):
        """What the manifest records."""
        if self.paired:
            return {"split": self.name, "pairs": len(self)}
        sizes = {"sources": len(self.source), "targets": len(self.target)}
        return {"split": self.name, **sizes}

    def __str__(self):
        if self.paired:
            return f"{len(self)} {self.name} pairs"
        return f"{len(self.source)} sources and {len(self.target)} targets ({self.name})"
