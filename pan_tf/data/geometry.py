"""At which size images are trained on, measured and translated: `--preprocess`.

`squash`  height and width are brought to `load_size`, aspect is not kept, and
          `image_size` is cropped at random; measured is the whole image at `image_size`.
          So have it the papers.
`scale`   aspect is kept: an image is resized until it just covers `load_size` (of a
          square `load_size` its shorter side is that long), and cropped at random.
`crop`    nothing is resized: `image_size` is cropped at random from the file's own
          pixels; smaller images are reflected up to it.

An image is uint8 or uint16 `[H, W, C]` before. What belongs together is a group, which is
resized and cropped alike.
"""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from pan_tf import images
from pan_tf.data import augment
from pan_tf.data.file_sizes import Sizes
from pan_tf.data.file_sizes import written
from pan_tf.size import Size

# How far off the trained scales an image may lie before somebody is told.
_FAR = 1.5


@dataclasses.dataclass(frozen=True)
class Geometry:
    """How a run brings images to size.

    Attributes:
        preprocess: "squash", "scale" or "crop".
        image_size: `Size` that T is trained on, or what `Size.of` takes.
        load_size: likewise, before the crop; None: as `image_size`.
        files: `Sizes` of the training images; None where they are not known.
        reason: why `preprocess` was chosen, where a user did not say; or None.
    """

    preprocess: str
    image_size: Size
    load_size: Size | None = None
    files: Sizes | None = None
    reason: str | None = None

    def __post_init__(self):
        for name in ("image_size", "load_size"):
            value = getattr(self, name)
            size = self.image_size if value is None else Size.of(value)
            object.__setattr__(self, name, size)

    @classmethod
    def of(cls, value):
        """A geometry as it is; of a `Size`, or pixels a side, squashing to that."""
        return value if isinstance(value, cls) else cls("squash", Size.of(value))

    @classmethod
    def from_json(cls, found):
        """What `to_json` gave; None of None, as runs of version 0.1 have it.

        Raises:
            ValueError: if it is damaged.
        """
        if found is None:
            return None
        try:
            files = found["files"] and Sizes.from_json(found["files"], found["scale"])
            return cls(
                *(found[name] for name in ("preprocess", "image_size", "load_size")),
                files,
                found["reason"],
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            raise ValueError(f"A geometry that was kept is damaged: {found}.") from None

    def to_json(self):
        """What the manifest and an export's label hold; sizes as of `Size.to_json`."""
        files = self.files
        return {
            "preprocess": self.preprocess,
            "image_size": self.image_size.to_json(),
            "load_size": self.load_size.to_json(),
            "scale": files
            and dict(zip(("median", "least", "greatest"), files.scale, strict=True)),
            "files": files and files.to_json(),
            "reason": self.reason,
            "sentence": str(self),
        }

    def with_files(self, sizes, what="images"):
        """The same, knowing the sizes of its training images: int `[N, 2]`."""
        unique, counts = np.unique(np.asarray(sizes), axis=0, return_counts=True)
        scales = np.array([self.scale_of(*size) for size in unique])
        found = Sizes.of(sizes, np.repeat(scales, counts), what)
        return dataclasses.replace(self, files=found)

    @property
    def is_uniform(self):
        """Whether all images are measured at one size."""
        return self.preprocess == "squash"

    @property
    def is_native(self):
        """Whether images are measured at their files' own size."""
        return self.preprocess == "crop"

    def measured_size(self, height, width):
        """The size at which a whole image is measured: that of training's scale.

        Args:
            height, width: of the file; numbers, or int32 scalars in a graph.

        Returns:
            `Size` of numbers, or of tensors.
        """
        if self.preprocess == "squash":
            return self.image_size
        if self.preprocess == "crop":
            return Size(height, width)
        return _covering(self.load_size, height, width)

    def scale_of(self, height, width):
        """Pixels that T sees of one pixel's length of a file; of both axes the mean."""
        seen = self.measured_size(int(height), int(width))
        return math.sqrt(seen.height * seen.width / (int(height) * int(width)))

    def is_far(self, scale):
        """Whether a scale lies far off those that were trained."""
        if self.files is None:
            return False
        _, least, greatest = self.files.scale
        return not least / _FAR <= scale <= greatest * _FAR

    def jitter(self, group, seed, augmentations, specs=None):
        """Training's view: resizes, crops `image_size` at random, and augments.

        Args:
            group: tuple of pixels `[H, W, C]`, images that belong together; channels may
                differ, and, where they are resized, sizes too.
            seed: int64 `[2]`; crop and augmentation are a function of it.
            augmentations: names of `augment.AUGMENTATIONS`.
            specs: `ImageSpec` of each; None: images as their dtypes say.

        Returns:
            Tuple of float32 `[*image_size, C]` in [-1, 1].
        """
        specs = _specs_of(group, specs)
        return self.cropped(self.loaded(group, specs), seed, augmentations, specs)

    def loaded(self, group, specs):
        """The part of `jitter` before anything random.

        Returns:
            uint8 or uint16 `[H, W, sum of planes]`: what belongs together is one image of
            many channels, so that it stays together.
        """
        if self.preprocess == "crop":
            images_of_size = [reflected_up(image, self.image_size) for image in group]
        else:
            size = self.load_size
            if self.preprocess == "scale":
                size = self.measured_size(*tf.unstack(tf.shape(group[0])[:2]))
            pairs = zip(group, specs, strict=True)
            images_of_size = [spec.resize(image, size) for image, spec in pairs]
        dtype = loaded_dtype(specs)
        return tf.concat([tf.cast(image, dtype) for image in images_of_size], -1)

    def cropped(self, loaded, seed, augmentations, specs, names=("source", "target")):
        """The part of `jitter` that is random: crop and augmentation, then floats.

        Args:
            loaded: what `loaded` gave.
            seed, augmentations, specs: as of `jitter`.
            names: of the images, "source", "target", or both, one a spec.
        """
        count = sum(spec.planes for spec in specs)
        is_squash = self.preprocess == "squash"
        known = self.load_size if is_squash else (None, None)
        stacked = tf.ensure_shape(loaded[None], (1, *known, count))
        if not is_squash or self.load_size != self.image_size:
            shape = (1, *self.image_size, count)
            stacked = tf.image.stateless_random_crop(stacked, shape, seed)
        sides = dict(zip(names, specs, strict=False))
        stacked = augment.augment(stacked, seed, augmentations, sides)
        return _unstack(stacked, specs)

    def whole(self, group, specs=None):
        """What is measured: all of an image, at training's scale.

        Args:
            group, specs: as of `jitter`.

        Returns:
            Tuple of float32 `[H, W, C]` in [-1, 1].
        """
        return _floats(self._measured(group, _specs_of(group, specs)), specs)

    def centre(self, group, specs=None):
        """The middle of each image at training's scale, all of one size: pictures.

        Args:
            group, specs: as of `jitter`.

        Returns:
            Tuple of float32 `[*image_size, C]` in [-1, 1].
        """
        measured = self._measured(group, _specs_of(group, specs))
        if self.preprocess != "squash":
            measured = [self._middle(image) for image in measured]
        return _floats(measured, specs)

    def _measured(self, group, specs):
        if self.preprocess == "crop":
            return list(group)
        size = self.measured_size(*tf.unstack(tf.shape(group[0])[:2]))
        return [s.resize(image, size) for image, s in zip(group, specs, strict=True)]

    def middles(self, batches):
        """The middles of measured images, of one size.

        Args:
            batches: list of uint8 or uint16 `[B, H, W, C]`, NumPy, whose sizes may
                differ.

        Returns:
            `[N, *image_size, C]`, of the same dtype.
        """
        if self.preprocess == "squash":
            return np.concatenate(batches)
        return np.stack([self._middle(image).numpy() for b in batches for image in b])

    def _middle(self, image):
        size = self.image_size
        chosen = middle(reflected_up(image, size), size)
        return tf.ensure_shape(chosen, (*size, image.shape[-1]))

    def measured(self, centre=False):
        """How images, or their middles, are measured, in words."""
        if self.preprocess == "squash":
            return f"squashed to {_said(self.image_size)}"
        if centre:
            at = "native" if self.preprocess == "crop" else "the training's"
            return f"the middle {_said(self.image_size)} of each at {at} scale"
        if self.preprocess == "crop":
            return "whole images at native resolution"
        return f"whole images that just cover {_said(self.load_size)}"

    def __str__(self):
        """E.g. "images of 900x600, cropped to 256x256 at native resolution"."""
        crop, load = written(self.image_size), _said(self.load_size)
        cropped = f", cropped to {crop}" if self.load_size != self.image_size else ""
        if self.preprocess == "crop":
            said = f"cropped to {_said(self.image_size)} at native resolution"
        elif self.preprocess == "squash":
            said = f"squashed to {load}{cropped}"
        else:
            until = f"until they cover {load}"
            if self.load_size.is_square:
                until = f"until the shorter side is {self.load_size.height}"
            said = f"scaled, with their aspect, {until}, then cropped to {crop}"
        if self.files is None:
            return said
        at = "" if self.is_native else f" (scale {self.files.range_of_scales})"
        return f"{self.files.what} of {self.files}, {said}{at}"


NATIVE = Geometry("crop", 1)


def _said(size):
    """A size as those of files are said; --image_size has it the other way round."""
    return written(size) + " (width x height)" * (not size.is_square)


def middle(image, size):
    """The middle of `[H, W, C]`, of a `Size` or what there is."""
    size = Size.of(size)
    height, width = tf.unstack(tf.shape(image)[:2])
    top = tf.maximum(height - size.height, 0) // 2
    left = tf.maximum(width - size.width, 0) // 2
    return image[top : top + size.height, left : left + size.width]


def reflected_up(image, size):
    """`[H, W, C]`, reflected at its bottom and right edges up to a `Size` at least."""
    height, width = tf.unstack(tf.shape(image)[:2])
    fits = (height >= size.height) & (width >= size.width)

    def reflect():
        rows = images.reflected(height, tf.maximum(height, size.height))
        columns = images.reflected(width, tf.maximum(width, size.width))
        return tf.gather(tf.gather(image, rows, axis=0), columns, axis=1)

    return tf.cond(fits, lambda: tf.identity(image), reflect)


def _covering(load_size, height, width):
    """The size with the aspect of an image that just covers `load_size`."""
    if not tf.is_tensor(height):
        scale = max(load_size.height / height, load_size.width / width)
        return Size(*(int(np.floor(side * scale + 0.5)) for side in (height, width)))
    sides = [tf.cast(side, tf.float64) for side in (height, width)]
    scale = tf.maximum(load_size.height / sides[0], load_size.width / sides[1])
    return Size(*(tf.cast(tf.floor(side * scale + 0.5), tf.int32) for side in sides))


def loaded_dtype(specs):
    """Of `Geometry.loaded`: the deepest of all."""
    return tf.uint16 if any(spec.bits == 16 for spec in specs) else tf.uint8


def _specs_of(group, specs):
    """Specs as they are; None: of images as their dtypes say."""
    return specs or [
        images.ImageSpec(i.shape[-1], 8 * tf.as_dtype(i.dtype).size) for i in group
    ]


def _floats(group, specs):
    pairs = zip(group, _specs_of(group, specs), strict=True)
    return tuple(spec.to_float(image) for image, spec in pairs)


def _unstack(stacked, specs):
    parts = tf.split(stacked[0], [spec.planes for spec in specs], -1)
    pairs = zip(parts, specs, strict=True)
    return tuple(s.to_float(tf.cast(part, s.dtype.name)) for part, s in pairs)
