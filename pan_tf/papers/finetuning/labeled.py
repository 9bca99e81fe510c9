"""Images of known classes: ImageNet by TensorFlow Datasets, or folders of images.

The stream of training examples is a function of (seed, example number), as that of
`data.pipeline`: a run that goes on at an iteration sees what the straight run saw.
"""

import concurrent.futures
import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Callable

import tensorflow as tf

from pan_tf import image_files
from pan_tf import images
from pan_tf import tracing
from pan_tf.data import DatasetNotFoundError
from pan_tf.data import augment
from pan_tf.data import geometry
from pan_tf.data import pipeline
from pan_tf.data import preprocessing
from pan_tf.data import records
from pan_tf.progress import followed

_FOREVER = 2**62
# VGG's: the shorter side of an image before the crop, of a crop of 224.
_LOAD_SHARE = 256 / 224


@dataclasses.dataclass(frozen=True)
class LabeledSet:
    """One split: a numbered list of images with their classes.

    Attributes:
        size: images.
        classes: their names.
        load: graph function, int64 scalar -> (uint8 `[H, W, 3]`, int64 class).
        fingerprint: of what there is.
    """

    size: int
    classes: tuple
    load: Callable
    fingerprint: str


def open_folder(data_dir, known=()):
    """(training split, validation split or None) of `D/train/<class>/*`, `D/val/...`.

    Args:
        data_dir: the folder D.
        known: fingerprints of splits whose files were all decoded before.

    Raises:
        DatasetNotFoundError: if there is no train/.
        ValueError: if there are fewer than two classes, one is empty, a file cannot be
            decoded, or validation has other classes.
    """
    root = pathlib.Path(data_dir)
    if not (root / "train").is_dir():
        raise DatasetNotFoundError(
            f"No train/ in --data_dir={data_dir}: images are looked for in "
            "train/<class>/, and to watch them by in val/<class>/."
        )
    train, val = _folder_split(root / "train", None, known), None
    if (root / "val").is_dir():
        val = _folder_split(root / "val", train.classes, known)
    return train, val


def _folder_split(root, classes, known):
    folders = (path.name for path in root.iterdir() if path.is_dir())
    # Editors, file managers and notebooks leave hidden folders behind.
    found = tuple(sorted(name for name in folders if not name.startswith(".")))
    if classes is not None and found != classes:
        raise ValueError(
            f"{root} must have the classes of train/. Received: "
            f"{', '.join(sorted(set(found) ^ set(classes)))} in one of them only."
        )
    if len(found) < 2:
        raise ValueError(f"{root} must have two folders of images or more, a class each.")
    files, labels = [], []
    for label, name in enumerate(found):
        own = [f for f in sorted((root / name).iterdir()) if image_files.is_image(f)]
        if not own:
            endings = ", ".join(image_files.ENDINGS)
            raise ValueError(f"No {endings} in {root / name}.")
        files += own
        labels += [label] * len(own)
    described = "\n".join(f"{f.parent.name}/{f.name} {f.stat().st_size}" for f in files)
    digest = hashlib.sha256(described.encode(errors="backslashreplace")).hexdigest()
    fingerprint = f"folder {digest[:16]}"
    if fingerprint not in known:
        _check_readable(files)
    paths = tf.constant(list(map(os.fsencode, files)))
    numbers = tf.constant(labels, tf.int64)

    def load(index):
        return preprocessing.read(paths[index]), numbers[index]

    return LabeledSet(len(files), found, load, fingerprint)


def _check_readable(files):
    """Raises ValueError that names files that cannot be decoded."""
    pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
    try:
        problems = followed(pool.map(_problem, files), "reading", len(files))
        broken = list(filter(None, problems))
    finally:  # Ctrl-C waits for no more files.
        pool.shutdown(cancel_futures=True)
    if broken:
        more = f", and {len(broken) - 5} more" if len(broken) > 5 else ""
        raise ValueError(f"Unreadable: {'; '.join(broken[:5])}{more}.")


def _problem(file):
    """What is wrong with an image file, or None."""
    try:
        image_files.read_picture(file)
    except image_files.ImageFileError as error:
        return f"{file} ({error})"
    return None


def open_imagenet(data_dir):
    """(training split, validation split) of TFDS' `imagenet2012`, which must be prepared.

    Raises:
        DatasetNotFoundError: if it is not; how it is, the message says.
    """
    import tensorflow_datasets as tfds

    builder = tfds.builder("imagenet2012", data_dir=data_dir, file_format="array_record")
    if not (pathlib.Path(builder.data_dir) / "dataset_info.json").exists():
        raise DatasetNotFoundError(
            f"imagenet2012 is not prepared in --data_dir={data_dir}. ImageNet may not be "
            "downloaded without an account: put ILSVRC2012_img_train.tar and "
            f"ILSVRC2012_img_val.tar into {pathlib.Path(data_dir) / 'downloads/manual'}, "
            "then\n"
            f"    tfds build imagenet2012 --data_dir={data_dir} "
            f"--manual_dir={pathlib.Path(data_dir) / 'downloads/manual'} "
            "--file_format=array_record"
        )
    return tuple(_records_split(builder, split) for split in ("train", "validation"))


def _records_split(builder, split):
    found = records.open_split(builder, split)
    features = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
    }
    load_record = records.record_loader(found, features)

    def load(index):
        parsed = load_record(index)
        return preprocessing.decode(parsed["image"]), parsed["label"]

    classes = tuple(map(str, range(builder.info.features["label"].num_classes)))
    return LabeledSet(len(found), classes, load, records.fingerprint(builder.info))


def training_batches(labeled, image_size, batch_size, seed, first_iteration):
    """The endless stream of batches, from an iteration on.

    Images are resized until their shorter side is 256 / 224 of `image_size`, cropped at
    random, and half of them mirrored.

    Returns:
        `tf.data.Dataset` of (float32 `[batch_size, image_size, image_size, 3]` in
        [-1, 1], int64 `[batch_size]`).
    """

    def example(n):
        image, label = labeled.load(pipeline.shuffled(n, labeled.size, seed))
        own = tf.stack([tf.constant(seed, tf.int64), n])
        image = tf.image.stateless_random_crop(
            _shorter_side(image, image_size), (image_size, image_size, 3), own
        )
        image = augment.flip(image[None], own, {})[0]
        return images.to_float(image), label

    numbers = tf.data.Dataset.range(first_iteration * batch_size, _FOREVER)
    return (
        numbers.map(
            tracing.plain(example),
            num_parallel_calls=os.cpu_count(),
            deterministic=True,
        )
        .batch(batch_size, drop_remainder=True)
        .prefetch(2)
        .with_options(pipeline.options())
    )


def validation_batches(labeled, image_size, batch_size, limit):
    """At most `limit` images, spread over the list, their middle; as above otherwise."""
    count = min(limit, labeled.size)

    def example(n):
        image, label = labeled.load(n * labeled.size // count)
        image = _shorter_side(image, image_size)
        image = geometry.middle(image, image_size)
        return images.to_float(tf.ensure_shape(image, (image_size, image_size, 3))), label

    numbers = tf.data.Dataset.range(count)
    numbers = numbers.map(tracing.plain(example), num_parallel_calls=os.cpu_count())
    return numbers.batch(batch_size).with_options(pipeline.options())


def _shorter_side(image, image_size):
    """uint8 `[H, W, 3]`, resized to where a crop is taken from."""
    wanted = round(image_size * _LOAD_SHARE)
    shape = tf.shape(image)[:2]
    scale = wanted / tf.reduce_min(shape)
    size = tf.maximum(
        tf.cast(tf.round(tf.cast(shape, tf.float64) * scale), tf.int32), wanted
    )
    resized = tf.image.resize(image, size, "bilinear", antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, images.PEAK), tf.uint8)
