"""The baselines of a data set: scores that need no learning of a translation.

A system that does not beat them all has learnt less than a table of colours.

- `copy_input`: the output is the source.
- `mean_color`: every pixel has the mean colour of the training targets.
- `color_table`: each source colour, quantized to 32 levels a channel (fewer of more than
  three channels), becomes the mean target colour of the training pixels that had it.
"""

import numpy as np
import tensorflow as tf

from pan_tf import images
from pan_tf.data import Geometry
from pan_tf.data import evaluation_dataset
from pan_tf.data.synthesis import SYNTHESES
from pan_tf.evaluation.measure import measure

TITLES = {
    "copy_input": "the source itself",
    "mean_color": "mean colour",
    "color_table": "colour table",
    "real": "real targets",
}


def measure_baselines(train, split, geometry, **settings):
    """Fits the baselines on the training pairs and measures them on others.

    Args:
        train: `Split` of pairs.
        split: `Split` of pairs to measure on.
        geometry: `Geometry`, or a `Size` to squash to.
        **settings: as of `measure`.

    Returns:
        baseline -> metric -> float64 `[len(split)]`.
    """
    return {
        name: measure(translate, split, geometry, **settings)
        for name, translate in translations(train, geometry).items()
    }


def translations(train, geometry):
    """The baselines, fitted on training pairs, as functions.

    Returns:
        baseline -> function of float32 `[B, H, W, C]` in [-1, 1] that gives uint8.
    """
    mean, table = _fit(train, geometry)
    table = tf.constant(np.round(table).astype(np.uint8))
    mean = tf.constant(np.round(mean).astype(np.uint8))
    channels = len(mean)

    def copied(source):
        return images.with_channels(images.to_uint8(source), channels)

    found = {
        "copy_input": copied,
        "mean_color": lambda source: tf.zeros_like(copied(source)) + mean,
        "color_table": lambda source: tf.gather(table, _cell(images.to_uint8(source))),
    }
    if train.synthesize is not SYNTHESES["hole"]:
        return found
    # Where only the centre is missing, nobody would change the rest.
    missing = images.central_mask(Geometry.of(geometry).image_size.height)

    def pasted(translate):
        return lambda source: tf.where(missing, translate(source), copied(source))

    return {name: pasted(translate) for name, translate in found.items()}


def _levels(channels):
    """Levels that a channel is quantized to: 32 of up to three, then as many cells."""
    return 2 ** min(5, 15 // channels)


def _cell(pixels):
    """uint8 `[..., C]` -> int32 `[...]`, the cell of the cube of colours."""
    count = _levels(pixels.shape[-1])
    levels = tf.cast(pixels, tf.int32) // (256 // count)
    cell = levels[..., 0]
    for channel in range(1, pixels.shape[-1]):
        cell = cell * count + levels[..., channel]
    return cell


def _fit(pairs, geometry):
    """(mean target colour `[C]`, a colour for each cell of source colours), float64."""
    count = None
    for batch in evaluation_dataset(pairs, geometry=geometry, batch_size=16):
        source, target = (images.to_uint8(batch[name]) for name in ("source", "target"))
        index, channels = _cell(source).numpy().ravel(), target.shape[-1]
        target = target.numpy().reshape(-1, channels)
        if count is None:
            cells = _levels(source.shape[-1]) ** source.shape[-1]
            count, total = np.zeros(cells), np.zeros((cells, channels))
        count += np.bincount(index, minlength=cells)
        for channel in range(channels):
            total[:, channel] += np.bincount(index, target[:, channel], cells)
    mean = total.sum(0) / count.sum()
    # A colour that training never showed gets the mean.
    seen = count[:, None] > 0
    return mean, np.where(seen, total / np.maximum(count, 1)[:, None], mean)
