"""Metrics of a translation over a whole split, image by image."""

import functools

import numpy as np
import tensorflow as tf

from pan_tf import images
from pan_tf import progress
from pan_tf import tracing
from pan_tf.data import Geometry
from pan_tf.data import evaluation_dataset
from pan_tf.memory import available_bytes
from pan_tf.metrics import KEPT_METRICS
from pan_tf.metrics import METRICS
from pan_tf.metrics import ROWS
from pan_tf.metrics import checked
from pan_tf.metrics import full_reference
from pan_tf.metrics import with_parts
from pan_tf.metrics.intervals import mean_and_interval
from pan_tf.size import Size

# Images of float32 that are in memory at once: a pair, the output, and what metrics make
# of them. One of 131 million pixels was seen to take 10 GB.
_COPIES = 6
_TRIED = 64  # Pixels a side, of images whose size is not known.
_UNTRACED = 2  # Pairs of a size, on average, up to which comparisons are not traced.


def measure(
    translate,
    split,
    geometry,
    batch_size=None,
    crop=0,
    back=None,
    names=None,
    also=(),
    weights=None,
    keep=None,
    is_traced=None,
):
    """Translates every example of a split and compares the images that metrics name.

    Outputs are rounded to their bits first: scored is what would be saved. Without pairs
    the middles of images are measured, as of training's size: they are judged together.

    Args:
        translate: float32 `[B, H, W, C]` in [-1, 1] -> pixels as of the targets' spec.
        split: `Split`; without pairs each list is gone through by itself.
        geometry: `Geometry`, or a `Size` to squash to.
        batch_size: images at a time; None: as many as have a million pixels, at most 16.
            Where they differ in size, always 1.
        crop: pixels on every side that are not compared.
        back: the inverse, as `translate`, or None.
        names: rows of the table of metrics; None: the usual ones of such a split.
        also: rows beside the usual ones.
        weights: `metrics.Weights`, for metrics that look through networks.
        keep: image name -> list, to which that image is appended batch by batch.
        is_traced: whether comparisons are traced, which takes longer than to compare one
            pair of a size; None: where sizes recur. Scores may differ in their last bits.

    Returns:
        metric -> float64 `[N]`, one an example, in the order of the split and of the
        table. PSNR of equal images is infinite.
    """
    if names is None:
        chosen = {*usual(split, back is not None), *also}
        names = [name for name in ROWS if name in chosen]
    geometry = Geometry.of(geometry)
    batch_size = batch_size or images_at_a_time(geometry.image_size)
    measured = with_parts(names)
    keep, scores = {} if keep is None else keep, {name: [] for name in measured}
    if is_traced is None:
        is_traced = sizes_recur(split, geometry)
    for shown, batches in _streams(split, geometry, batch_size):
        groups = {}
        for name in measured:
            if ROWS[name].of_images and _BASE[ROWS[name].compares[0]] in shown:
                groups.setdefault(ROWS[name].compares, []).append(name)
        for batch in batches:
            made = _Made(batch, split.specs, translate, back)
            for compared, group in groups.items():
                pair = _alike(*(made[name] for name in compared))
                if crop:
                    pair = [image[:, crop:-crop, crop:-crop] for image in pair]
                kind = tuple(pair[0].shape[1:]), pair[1].dtype
                compared_by = _comparison if is_traced else _untraced
                compare = compared_by(tuple(group), kind, weights)
                for name, values in compare(*pair).items():
                    scores[name].append(checked(name, values, len(pair[0])))
            for name, kept in keep.items():
                if _BASE[name] in shown:
                    kept.append(np.asarray(made[name]))
    scores = {name: np.concatenate(values) for name, values in scores.items() if values}
    found = {}
    for name in names:
        if of_scores := ROWS[name].of_scores:
            count = len(next(iter(scores.values())))
            found[name] = checked(name, of_scores(scores), count)
        elif name in scores:
            found[name] = scores[name]
    return found


def check_functions(names, size, channels, weights):
    """Tries rows of one's own on two images, so that a faulty one costs no training.

    Args:
        names: of rows.
        size: `Size` of the images; None: where they differ.
        channels: of the images.
        weights: as of `measure`.

    Raises:
        ValueError: naming a metric that does not give a number an image.
    """
    own, size = full_reference.__name__, size or Size.of(_TRIED)
    random = np.random.default_rng(0)
    pair = random.integers(0, 256, (2, 2, *size, channels), np.uint8)
    for name in names:
        row = ROWS[name]
        # Those have tests of their own, and to trace them all takes two seconds.
        if row.of_sets or getattr(row.function, "__module__", "").startswith(own):
            continue
        try:
            if row.of_scores:
                values = row.of_scores({part: random.random(2) for part in row.made_of})
            else:
                compare = _comparison((name,), (pair.shape[2:], tf.uint8), weights)
                values = compare(*map(tf.constant, pair))[name]
        # A row's own function raises what it likes: what NumPy and Python do that are
        # given a tensor of a graph, among others.
        except Exception as error:
            raise ValueError(
                f"The metric {name!r} cannot be computed, in a graph, which takes "
                f"TensorFlow's operations: {type(error).__name__}: {error}"
            ) from error
        checked(name, values, 2)


def usual(split, has_inverse):
    """Names of the metrics that are measured of a split without being asked for."""
    rows = METRICS if split.paired else KEPT_METRICS
    source, target = split.specs
    lacking = [] if has_inverse else [{"cycled"}]
    if not split.paired and source.channels != target.channels:
        lacking.append({"identity"})  # T does not take targets.
    if not source.converts_to(target):
        lacking.append({"source", "output"})
    return [
        name
        for name, metric in rows.items()
        if metric.is_usual and not any(each <= {*metric.compares} for each in lacking)
    ]


def too_small(split, geometry, also=()):
    """Which image is too small for which metric, a sentence; None if none is.

    Args:
        split: `Split` of pairs.
        geometry: `Geometry` at which they are measured.
        also: names of metrics beside the usual ones.
    """
    return _too_small(split, _measured_sizes(split, geometry), also)


def unmeasurable(split, geometry, also=()):
    """Which image is too small for a metric or too large for memory, a sentence; or None.

    Arguments as of `too_small`. A thin image grows most: its short side decides at which
    scale it is measured.
    """
    sizes = _measured_sizes(split, geometry)  # All headers are read for it: once.
    return _too_small(split, sizes, also) or _too_large(split, sizes)


def _measured_sizes(split, geometry):
    return [geometry.measured_size(*map(int, size)) for size in split.sizes()]


def _too_small(split, sizes, also):
    metrics = [ROWS[name] for name in (*usual(split, False), *also)]
    worst = max(metrics, key=lambda metric: metric.smallest)
    number = min(range(len(sizes)), key=lambda i: min(sizes[i]))
    if min(sizes[number]) >= worst.smallest:
        return None
    return (
        f"{_name(split, number, sizes)} is measured at {sizes[number]} px, and "
        f"{worst.title} needs {worst.smallest} px a side."
    )


def _too_large(split, sizes):
    free = available_bytes()
    number = max(range(len(sizes)), key=lambda i: sizes[i].pixels)
    wanted = _COPIES * 4 * sizes[number].pixels * split.target.spec.channels
    if free is None or wanted <= free:
        return None
    return (
        f"{_name(split, number, sizes)} is measured at {sizes[number]} px, which takes "
        f"{wanted / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} are free."
    )


def _name(split, number, sizes):
    # Where headers tell nothing, only a few images were looked at.
    is_known = len(sizes) == len(split.target.names)
    name = split.target.names[number] if is_known else "an image"
    return f"{name} of {split.name}"


def sizes_recur(split, geometry):
    """Whether images are measured at so few sizes that it pays to trace for each."""
    geometry = Geometry.of(geometry)
    if geometry.is_uniform or split.by_middle:
        return True
    sizes = _measured_sizes(split, geometry)
    return len(sizes) > _UNTRACED * len(set(sizes))


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


def validate(there, back, split, geometry, also=(), weights=None):
    """metric -> mean over a validation split, of a T.

    Without pairs over as many images of either list as the shorter one has, and of both
    directions where there are two.

    Args:
        there: T, as of `measure`.
        back: its inverse, or None.
        split: `Split`.
        geometry: `Geometry` of training.
        also: names of metrics of pairs that are measured beside the usual ones.
        weights: as of `measure`.
    """
    if split.paired:
        return means(measure(there, split, geometry, also=also, weights=weights))
    split = split.subset(range(split.num_together))
    found = [measure(there, split, geometry, back=back)]
    if back is not None:
        found.append(measure(back, split.swapped(), geometry, back=there))
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
    """Two images, the first with the channels and the bits of the second."""
    reference = images.with_channels(reference, prediction.shape[-1])
    return [images.to_bits(reference, 8 * prediction.dtype.size), prediction]


class _Made:
    """Images of a batch by their names, in pixels, each made once."""

    def __init__(self, batch, specs, translate, back):
        self._batch, self._translate, self._back = batch, translate, back
        self._specs = dict(zip(("source", "target"), specs, strict=True))
        self._made = {}

    def __getitem__(self, name):
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name):
        if name == "output":
            return tf.convert_to_tensor(self._translate(self._batch["source"]))
        if name == "identity":
            return tf.convert_to_tensor(self._translate(self._batch["target"]))
        if name == "cycled":
            return self._back(self._specs["target"].to_float(self["output"]))
        return self._specs[name].to_levels(self._batch[name])


def _streams(split, geometry, batch_size):
    """(names of the images of a batch, batches): one stream of pairs, or one a list."""
    sizes = {"geometry": geometry, "batch_size": batch_size}
    if split.paired:
        pairs = evaluation_dataset(split, **sizes)
        yield ("source", "target"), progress.followed(pairs, "measuring")
        return
    for name in ("source", "target"):
        alone = evaluation_dataset(getattr(split, name), centre=True, **sizes)
        alone = progress.followed(alone, f"measuring {name}s")
        yield (name,), ({name: batch["image"]} for batch in alone)


def _untraced(names, kind, weights):
    functions = {name: ROWS[name].function_by(weights) for name in names}
    return lambda *pair: {name: metric(*pair) for name, metric in functions.items()}


@functools.lru_cache(maxsize=16)
def _comparison(names, kind, weights):
    """Some metrics of a pair of images, traced once for a shape, whatever the batch."""
    functions = {name: ROWS[name].function_by(weights) for name in names}
    shape, dtype = kind
    spec = tf.TensorSpec((None, *shape), dtype)

    @tracing.function(input_signature=[spec, spec])
    def compare(reference, prediction):
        return {name: metric(reference, prediction) for name, metric in functions.items()}

    # The graph itself: it is one also where a session runs functions eagerly.
    return compare.get_concrete_function()
