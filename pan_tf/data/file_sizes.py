"""Sizes of a data set's files, and the `--preprocess` that fits them."""

import dataclasses

import numpy as np

from pan_tf import printing
from pan_tf.size import Size

# How far apart sizes may lie that are called equal; see `choose`.
_NEARLY = 1.1
_ALIKE = 1.5
_LARGEST_CROP = 4.0


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of files that are trained on, and by how much they are scaled.

    Attributes:
        count: of those that were looked at: of large folders some, spread evenly.
        median, smallest, largest: `Size`, each side by itself.
        scale: of the images, median, least and greatest: length in pixels that T saw of
            what is a pixel long in the file.
        what: "pairs" or "images".
    """

    count: int
    median: Size
    smallest: Size
    largest: Size
    scale: tuple
    what: str = "images"

    @classmethod
    def of(cls, sizes, scales, what):
        """Takes height and width of each image, int `[N, 2]`, and scales, `[N]`."""
        sizes, scales = np.asarray(sizes), np.asarray(scales)
        found = np.median(scales), scales.min(), scales.max()
        return cls(
            len(sizes),
            Size(*(round(float(side)) for side in np.median(sizes, axis=0))),
            Size(*map(int, sizes.min(0))),
            Size(*map(int, sizes.max(0))),
            tuple(round(float(value), 4) for value in found),
            what,
        )

    @classmethod
    def from_json(cls, found, scale):
        """Takes what `to_json` gave, and the scales by their names."""
        sizes = [Size.of(found[name]) for name in ("median", "smallest", "largest")]
        what = found.get("what", "images")
        return cls(found["count"], *sizes, tuple(scale.values()), what)

    def to_json(self):
        """What JSON can hold, without the scales."""
        return {
            "what": self.what,
            "count": self.count,
            "median": self.median.to_json(),
            "smallest": self.smallest.to_json(),
            "largest": self.largest.to_json(),
        }

    @property
    def range_of_scales(self):
        """The least and the greatest scale as text, one where they are the same."""
        return " to ".join(dict.fromkeys(map(printing.two_digits, self.scale[1:])))

    def __str__(self):
        """As users write sizes: width x height."""
        small, large = written(self.smallest), written(self.largest)
        if small == large:
            return small
        return f"{small} to {large}, median {written(self.median)}"


def choose(sizes, image_size):
    """The `--preprocess` that fits a user's own files.

    - `squash` if all have nearly the aspect of `image_size` (of a square one: are nearly
      square) and nearly one size, to 10 %: nothing is distorted then.
    - `crop` if their shorter sides lie within a factor 1.5 of each other, all are at
      least as large as the crop, and no more than four times: details are of one scale,
      and a crop shows enough of what is around them.
    - `scale` otherwise.

    Args:
        sizes: int `[N, 2]`, height and width of each training image.
        image_size: `Size`.

    Returns:
        (mode, reason: a part of a sentence).
    """
    sizes = np.asarray(sizes, float)
    aspects = sizes[:, 0] / sizes[:, 1] * image_size.width / image_size.height
    distortion = np.exp(np.abs(np.log(aspects)).max())
    spread = (sizes.max(0) / sizes.min(0)).max()
    shape = "square" if image_size.is_square else "of --image_size's aspect"
    if distortion <= _NEARLY and spread <= _NEARLY:
        return "squash", f"all files are nearly {shape}, and of nearly one size"
    # How many crops lie side by side along the axis that has the fewest.
    crops = (sizes / np.array(image_size)).min(1)
    if crops.min() < 1:
        return "scale", "some files are smaller than --image_size"
    if crops.max() / crops.min() > _ALIKE:
        return "scale", "files differ in size"
    if crops.max() > _LARGEST_CROP:
        return "scale", "files are more than four times as large as --image_size"
    return "crop", "files are of nearly one size, and up to four times --image_size"


def written(size):
    """Width x height, as users and viewers have it."""
    return f"{size.width}x{size.height}"
