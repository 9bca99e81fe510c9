"""Lists of images that are measured without pairs."""

import dataclasses

import numpy as np

from pan_tf import data
from pan_tf import images
from pan_tf.evaluation.two_sample import LEAST

# Images of a list that are looked at.
LIMIT = 2000


@dataclasses.dataclass(frozen=True)
class Domain:
    """Images of one side, read.

    Attributes:
        names: one an image.
        pixels: uint8 `[N, size, size, 3]`.
        attributes: `[N, A]`, or None.
    """

    names: tuple
    pixels: np.ndarray
    attributes: np.ndarray | None

    @classmethod
    def read(cls, images_of_a_side, size, limit, with_attributes):
        """As many images as `limit`, spread over an `ImageSet`."""
        count = min(limit, len(images_of_a_side))
        places = np.arange(count) * len(images_of_a_side) // count
        subset = images_of_a_side.subset(places)
        alone = data.UnalignedSet("", subset, subset)
        batches = data.evaluation_dataset(alone, image_size=size, batch_size=16)
        pixels = [images.to_uint8(batch["source"]).numpy() for batch in batches]
        attributes = None
        if with_attributes:
            attributes = images_of_a_side.attributes()[places]
        return cls(subset.names, np.concatenate(pixels), attributes)


def held_out(opened, split=None):
    """The lists of a split that a system was not trained on, of `OpenedData`.

    Raises:
        ValueError: if there is no such split.
    """
    sets = opened.held_out if split is None else opened.splits.get(split)
    if sets is None:
        raise ValueError(
            f"--split must be one of: {', '.join(opened.splits)}. Received: "
            f"split={split!r}; without it, test or val is needed."
        )
    # Which belong together, where it is known, is not made use of.
    return sets if isinstance(sets, data.UnalignedSet) else data.UnalignedSet.of(sets)


def check_sizes(train, sets, limit):
    """Raises ValueError where lists are too short for what is made of them."""
    for each in (train, sets):
        if min(len(each.source), len(each.target), limit) < LEAST:
            raise ValueError(
                f"To measure without pairs takes {LEAST} images or more in every list, "
                f"--limit counted. Received: {len(each.source)} sources, "
                f"{len(each.target)} targets ({each.split}), limit={limit}."
            )
