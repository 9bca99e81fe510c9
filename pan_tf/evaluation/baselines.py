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
from pan_tf.evaluation.measure import measure
from pan_tf.progress import followed

TITLES = {
    "copy_input": "the source itself",
    "mean_color": "mean colour",
    "color_table": "colour table",
    "real": "real targets",
}


def label_of(name):
    """What tables call it; real targets are no baseline."""
    return TITLES[name] if name == "real" else f"baseline: {TITLES[name]}"


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
        for name, translate in translations(split, geometry, fit(train, geometry)).items()
    }


def translations(split, geometry, fitted):
    """The baselines as functions.

    Args:
        split, geometry: as of `measure_baselines`.
        fitted: what `fit` gave of the training pairs; None: there are none, and no
            baseline that is fitted.

    Returns:
        baseline -> function of float32 `[B, H, W, C]` in [-1, 1] that gives levels, of
        the targets' dtype: uint8 or uint16.
    """
    source, target = split.specs
    found = {}

    def copied(pixels):
        return target.convert(source.to_levels(pixels))

    if source.converts_to(target):
        found["copy_input"] = copied
    if fitted:
        mean, table = (np.round(colors).astype(target.dtype) for colors in fitted)
        table = tf.constant(table)
        found["mean_color"] = lambda pixels: tf.constant(
            np.broadcast_to(mean, (*pixels.shape[:-1], target.channels))
        )
        found["color_table"] = lambda pixels: tf.gather(
            table, _cell(source.to_levels(pixels), source)
        )
    if not split.lacks_centre:
        return found
    # Where only the centre is missing, nobody would change the rest.
    missing = images.central_mask(Geometry.of(geometry).image_size.height)

    def pasted(translate):
        return lambda source: tf.where(missing, translate(source), copied(source))

    return {name: pasted(translate) for name, translate in found.items()}


def _levels(spec):
    """Levels that a channel is quantized to: 32 of up to three, then as many cells."""
    return spec.labels or 2 ** min(5, 15 // spec.channels)


def _cell(pixels, spec):
    """Pixels `[..., C]` -> int32 `[...]`, its cell in the cube of colours, or label."""
    if spec.labels:
        return tf.cast(pixels[..., 0], tf.int32)
    count = _levels(spec)
    levels = tf.cast(images.to_bits(pixels, 8), tf.int32) // (256 // count)
    cell = levels[..., 0]
    for channel in range(1, pixels.shape[-1]):
        cell = cell * count + levels[..., channel]
    return cell


def fit(pairs, geometry):
    """(mean target colour `[C]`, a colour for each cell of source colours), float64."""
    sources, targets = pairs.specs
    cells = _levels(sources) ** sources.planes
    channels = targets.channels
    count, total = np.zeros(cells), np.zeros((cells, channels))
    batches = evaluation_dataset(pairs, geometry=geometry, batch_size=16)
    for batch in followed(batches, "fitting baselines"):
        source = sources.to_levels(batch["source"])
        index = _cell(source, sources).numpy().ravel()
        target = targets.to_levels(batch["target"]).numpy().reshape(-1, channels)
        count += np.bincount(index, minlength=cells)
        for channel in range(channels):
            total[:, channel] += np.bincount(index, target[:, channel], cells)
    mean = total.sum(0) / count.sum()
    # A colour that training never showed gets the mean.
    seen = count[:, None] > 0
    return mean, np.where(seen, total / np.maximum(count, 1)[:, None], mean)
