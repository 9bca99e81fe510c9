"""Metrics of a translation over a whole split, image by image."""

import functools

import numpy as np
import tensorflow as tf

from pan_tf import images
from pan_tf.data import evaluation_dataset
from pan_tf.metrics import KEPT_METRICS
from pan_tf.metrics import METRICS
from pan_tf.metrics import ROWS
from pan_tf.metrics.intervals import mean_and_interval
from pan_tf.size import Size


def measure(
    translate,
    split,
    image_size,
    batch_size=None,
    crop=0,
    back=None,
    names=None,
    also=(),
    vgg=None,
    keep=None,
):
    """Translates every example of a split and compares the images that metrics name.

    Outputs are rounded to 8 bits first: scored is what would be saved.

    Args:
        translate: float32 `[B, H, W, 3]` in [-1, 1] -> uint8 `[B, H, W, 3]`.
        split: `Split`; without pairs each list is gone through by itself.
        image_size: `Size`, or pixels a side.
        batch_size: images at a time; None: as many as have a million pixels, at most 16.
        crop: pixels on every side that are not compared.
        back: the inverse, as `translate`, or None.
        names: rows of the table of metrics; None: the usual ones of such a split.
        also: rows beside the usual ones.
        vgg: file of VGG's weights, for metrics that need them.
        keep: image name -> list, to which that image is appended batch by batch.

    Returns:
        metric -> float64 `[N]`, one an example, in the order of the split and of the
        table. PSNR of equal images is infinite.
    """
    if names is None:
        chosen = {*usual(split, back is not None), *also}
        names = [name for name in ROWS if name in chosen]
    batch_size = batch_size or images_at_a_time(image_size)
    keep = {} if keep is None else keep
    scores = {name: [] for name in names}
    for shown, batches in _streams(split, image_size, batch_size):
        groups = {}
        for name in names:
            if ROWS[name].of_images and _BASE[ROWS[name].compares[0]] in shown:
                groups.setdefault(ROWS[name].compares, []).append(name)
        for batch in batches:
            made = _Made(batch, translate, back)
            for compared, group in groups.items():
                pair = _alike(*(made[name] for name in compared))
                if crop:
                    pair = [image[:, crop:-crop, crop:-crop] for image in pair]
                compare = _comparison(tuple(group), tuple(pair[0].shape[1:]), vgg)
                for name, values in compare(*pair).items():
                    scores[name].append(values)
            for name, kept in keep.items():
                if _BASE[name] in shown:
                    kept.append(np.asarray(made[name]))
    scores = {
        name: np.concatenate(values).astype(np.float64)
        for name, values in scores.items()
        if values
    }
    # In the table's order: one that is made of others may stand before them.
    return {
        name: ROWS[name].of_scores(scores) if ROWS[name].of_scores else scores[name]
        for name in names
        if ROWS[name].of_scores or name in scores
    }


def usual(split, has_inverse):
    """Names of the metrics that are measured of a split without being asked for."""
    rows = METRICS if split.paired else KEPT_METRICS
    lacking = set() if has_inverse else {"cycled"}
    if not split.paired and split.source.channels != split.target.channels:
        lacking.add("identity")  # T does not take targets.
    return [
        name
        for name, metric in rows.items()
        if metric.is_usual and lacking.isdisjoint(metric.compares)
    ]


def images_at_a_time(image_size):
    """How many images of a size are translated together."""
    return max(1, min(16, 2**20 // Size.of(image_size).pixels))


def summary(scores):
    """metric -> `{"mean", "ci95"}`."""
    return {
        name: mean_and_interval(ROWS[name].finite(values))
        for name, values in scores.items()
    }


def means(scores):
    """metric -> mean over the images."""
    return {name: float(np.mean(ROWS[name].finite(v))) for name, v in scores.items()}


def validate(model, split, image_size, also=(), vgg=None):
    """metric -> mean over a validation split, of the T that a model translates with.

    Without pairs over as many images of either list as the shorter one has, and of both
    directions where there are two.

    Args:
        model: `TranslationModel`.
        split: `Split`.
        image_size: `Size`, or pixels a side.
        also: names of metrics of pairs that are measured beside the usual ones.
        vgg: file of VGG's weights, for metrics that need them.
    """
    there, back = model.translate_pixels, model.translate_pixels_inversely
    if split.paired:
        return means(measure(there, split, image_size, also=also, vgg=vgg))
    split = split.subset(range(split.num_together))
    found = [measure(there, split, image_size, back=back)]
    if back is not None:
        found.append(measure(back, split.swapped(), image_size, back=there))
    return means(
        {name: np.concatenate([scores[name] for scores in found]) for name in found[0]}
    )


# Which of a split's images an image is made of.
_BASE = {
    "source": "source",
    "output": "source",
    "cycled": "source",
    "target": "target",
    "identity": "target",
}


def _alike(reference, prediction):
    """Two images, the first with the channels of the second."""
    channels = prediction.shape[-1]
    return [images.with_channels(reference, channels), prediction]


class _Made:
    """Images of a batch by their names, uint8, each made once."""

    def __init__(self, batch, translate, back):
        self._batch, self._translate, self._back = batch, translate, back
        self._made = {}

    def __getitem__(self, name):
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name):
        if name == "output":
            return self._translate(self._batch["source"])
        if name == "identity":
            return self._translate(self._batch["target"])
        if name == "cycled":
            return self._back(images.to_float(self["output"]))
        return images.to_uint8(self._batch[name])


def _streams(split, image_size, batch_size):
    """(names of the images of a batch, batches): one stream of pairs, or one a list."""
    sizes = {"image_size": image_size, "batch_size": batch_size}
    if split.paired:
        yield ("source", "target"), evaluation_dataset(split, **sizes)
        return
    for name in ("source", "target"):
        alone = evaluation_dataset(getattr(split, name), **sizes)
        yield (name,), ({name: batch["image"]} for batch in alone)


@functools.lru_cache(maxsize=16)
def _comparison(names, shape, vgg):
    """Some metrics of a pair of images, traced once for a shape, whatever the batch."""
    functions = {name: ROWS[name].function_by(vgg) for name in names}
    spec = tf.TensorSpec((None, *shape), tf.uint8)

    @tf.function(input_signature=[spec, spec])
    def compare(reference, prediction):
        return {name: metric(reference, prediction) for name, metric in functions.items()}

    return compare
