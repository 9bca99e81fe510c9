"""Augmentation: what may happen to a training example once it is cropped to size.

An augmentation is a function (images, seed, sides) of uint8 or uint16 `[1, H, W, C]` and
int64 `[2]`; it gives images of the same shape and dtype. `sides` says what the channels
are, in order: "source", "target" or both -> their `ImageSpec`. So pairs stay pairs, and
`of_side` changes one side alone. A new one is a new row. It draws with a seed that no
other draws with; the crop draws with `seed` itself.
"""

import tensorflow as tf


def flip(images, seed, sides):
    """Mirrors left and right, with probability one half.

    In the released code of PAN the mirroring is requested and never happens; here it
    does.
    """
    mirrored = tf.random.stateless_uniform([], seed + 1) < 0.5
    return tf.where(mirrored, tf.reverse(images, [2]), images)


def rot90(images, seed, sides):
    """Turns by 0, 90, 180 or 270 degrees; of images that are not square by 0 or 180."""
    turns = tf.random.stateless_uniform([], seed + 2, 0, 4, tf.int32)
    if images.shape[1] != images.shape[2]:
        turns = 2 * (turns // 2)
    return tf.ensure_shape(tf.image.rot90(images, turns), images.shape)


# What --augment names, in the order in which they are applied.
AUGMENTATIONS = {"flip": flip, "rot90": rot90}


def augment(images, seed, names, sides):
    """Applies augmentations, by their names, in the table's order.

    Raises:
        ValueError: if one gives images of another shape or dtype.
    """
    for name, function in AUGMENTATIONS.items():
        if name in names:
            changed = tf.convert_to_tensor(function(images, seed, sides))
            if changed.shape != images.shape or changed.dtype != images.dtype:
                raise ValueError(
                    f"AUGMENTATIONS[{name!r}] must keep shape and dtype of images. "
                    f"Received: {changed.dtype.name} of {changed.shape} for "
                    f"{images.dtype.name} of {images.shape}."
                )
            images = changed
    return images


def of_side(images, sides, name, change):
    """The images with one side changed; as they are where it is not among them.

    Args:
        images, sides: as an augmentation is given.
        name: "source" or "target".
        change: (pixels `[1, H, W, planes]`, their `ImageSpec`) -> the same shape; each
            side fills the range of its own bits, whatever the dtype of both together.
    """
    if name not in sides:
        return images
    parts = tf.split(images, [spec.planes for spec in sides.values()], -1)
    place = [*sides].index(name)
    parts[place] = change(parts[place], sides[name])
    return tf.concat(parts, -1)
