"""Augmentation: what may happen to a training example once it is cropped to size.

An augmentation is a function (images, seed) of uint8 `[1, H, W, C]` and int64 `[2]`. The
channels are those of a source and its target, one behind the other, so that pairs stay
pairs, or of an image that belongs to no other. A new one is a new row. It draws with a
seed that no other draws with; the crop draws with `seed` itself.
"""

import tensorflow as tf


def flip(images, seed):
    """Mirrors left and right, with probability one half.

    In the released code of PAN the mirroring is requested and never happens; here it
    does.
    """
    mirrored = tf.random.stateless_uniform([], seed + 1) < 0.5
    return tf.where(mirrored, tf.reverse(images, [2]), images)


def rot90(images, seed):
    """Turns by 0, 90, 180 or 270 degrees; of images that are not square by 0 or 180."""
    turns = tf.random.stateless_uniform([], seed + 2, 0, 4, tf.int32)
    if images.shape[1] != images.shape[2]:
        turns = 2 * (turns // 2)
    return tf.ensure_shape(tf.image.rot90(images, turns), images.shape)


# What --augment names, in the order in which they are applied.
AUGMENTATIONS = {"flip": flip, "rot90": rot90}


def augment(images, seed, names):
    """Applies augmentations, by their names, in the table's order."""
    for name, function in AUGMENTATIONS.items():
        if name in names:
            images = function(images, seed)
    return images
