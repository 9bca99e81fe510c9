"""Unaligned data: two lists of images, of which none belongs to one of the other.

- `folder`: `D/trainA/*` and `D/trainB/*`, likewise `val` and `test`.
- CycleGAN's archives, and CelebA, through TensorFlow Datasets.
- `celeba_hq`: images in `D/celeba_hq/`, and lists of their names in `D/lists_hq/`, as
  published with the Perceptual Discriminators paper.

Of faces, --attribute says which list is which: A lacks it, B has it.
"""

import functools
import pathlib

import numpy as np
import tensorflow as tf

from pan_tf.data import builders
from pan_tf.data import folder
from pan_tf.data import preprocessing
from pan_tf.data.sets import ImageSet
from pan_tf.data.sets import UnalignedSet

# Our name -> that of TensorFlow Datasets.
BUILDERS = {
    "apple2orange": "cycle_gan/apple2orange",
    "horse2zebra": "cycle_gan/horse2zebra",
    "monet2photo": "cycle_gan/monet2photo",
    "celeb_a": "celeb_a",
}
_HOSTS = {"celeb_a": "https://drive.google.com"}
_CYCLEGAN_HOST = "https://efrosgans.eecs.berkeley.edu/cyclegan/datasets/"

# Pixels a side of the middle of a CelebA image; Perceptual Discriminators, Sec. 4.
_CELEBA_SIZE = 160


def builder(name, data_dir):
    """The TFDS builder of a data set under `data_dir`, prepared or not."""
    import tensorflow_datasets as tfds

    return tfds.builder(BUILDERS[name], data_dir=data_dir, file_format="array_record")


def is_prepared(name, data_dir):
    """Whether the data set lies prepared under `data_dir`."""
    return (pathlib.Path(builder(name, data_dir).data_dir) / "dataset_info.json").exists()


def prepare(name, data_dir):
    """Makes the data set from its archive, which is downloaded if it is not there.

    TFDS itself takes an archive in place of a download, if it lies in
    `<data_dir>/downloads/manual/` under its own name, and compares its sha256.

    Raises:
        FileNotFoundError: if there is neither an archive nor a way to its host.
    """
    archive, host = manual_path(name, data_dir), _HOSTS.get(name, _CYCLEGAN_HOST)
    if not archive.is_file() and not builders.host_answers(host):
        raise FileNotFoundError(
            f"{host} cannot be reached. Put the archive at {archive} and run the command "
            "again."
        )
    builder(name, data_dir).download_and_prepare(
        download_dir=pathlib.Path(data_dir) / "downloads"
    )


def manual_path(name, data_dir):
    """Where an archive is looked for before it is downloaded."""
    file = "img_align_celeba.zip" if name == "celeb_a" else f"{name}.zip"
    return pathlib.Path(data_dir) / "downloads" / "manual" / file


def open_domains(config, verified):
    """Opens the two lists of every split.

    Args:
        config: `Config`.
        verified: as in `datasets.open_data`.

    Returns:
        (list of `UnalignedSet`, A the source; fingerprint).

    Raises:
        FileNotFoundError: if a list is empty.
        ValueError: if files are unusable, or there is no such attribute.
    """
    if config.dataset in BUILDERS:
        return _open_builder(config)
    listings = {split: _find(config, split) for split in ("train", "val", "test")}
    listings = {split: found for split, found in listings.items() if found}
    every = [side for sides in listings.values() for side in sides]
    fingerprint = folder.fingerprint(every, verified)
    return [
        UnalignedSet(split, *(_image_set(side) for side in sides))
        for split, sides in listings.items()
    ], fingerprint


def is_there(config):
    """Whether the lists of a data set that is files are there."""
    if config.dataset == "celeba_hq":
        return all(path.exists() for path in _hq_paths(config, "train"))
    return folder.has_two(config.data_dir, "train")


def missing(config):
    """The sentence to say where they are not."""
    if config.dataset == "celeba_hq":
        images, without, having = _hq_paths(config, "train")
        return (
            f"The data set 'celeba_hq' must lie in --data_dir={config.data_dir}: images "
            f"in {images}, and lists of their names, one a line, in {having} (those that "
            f"have the attribute) and {without}; likewise for test."
        )
    return f"No trainA/ and trainB/ in --data_dir={config.data_dir}."


def _find(config, split):
    """(`folder.Listing` of A, of B), or None."""
    if config.dataset != "celeba_hq":
        return folder.find_two(config.data_dir, split)
    images, *lists = _hq_paths(config, split)
    if not all(path.exists() for path in lists):
        return None
    return tuple(folder.named(images, path) for path in lists)


def _hq_paths(config, split):
    """(folder of images, list of those without the attribute, of those with it)."""
    if not config.attribute:
        raise ValueError(
            "--attribute must be given for celeba_hq, as its lists in lists_hq/ name it: "
            "smiling, male, blond, ..."
        )
    root = pathlib.Path(config.data_dir)
    lists = (f"{n}{config.attribute}_{split}.txt" for n in ("not_", ""))
    return root / "celeba_hq", *(root / "lists_hq" / name for name in lists)


def _image_set(listing):
    paths = tf.constant([str(file) for (file,) in listing.files])

    def load(index):
        return preprocessing.decode(tf.io.read_file(paths[index]))

    return ImageSet(listing.names, load)


def _open_builder(config):
    prepared = builder(config.dataset, config.data_dir)
    info = prepared.info
    sides = _by_attribute if config.dataset == "celeb_a" else _by_split
    checksums = [f"{s.name}:{s.num_examples}:{s.num_bytes}" for s in info.splits.values()]
    fingerprint = f"{info.full_name} {' '.join(sorted(checksums))}"
    if config.dataset == "celeb_a":
        fingerprint += f" {config.attribute}"
    return sides(prepared, config), fingerprint


def _by_split(prepared, config):
    return [
        UnalignedSet(
            split,
            *(
                _records_set(_records(prepared, f"{split}{side}"), f"{split}{side}")
                for side in "AB"
            ),
        )
        for split in ("train", "test")
    ]


def _by_attribute(prepared, config):
    names = prepared.info.features["attributes"].keys()
    if config.attribute not in names:
        raise ValueError(
            f"--attribute must be one of: {', '.join(sorted(names))}. "
            f"Received: attribute={config.attribute}."
        )
    key = f"attributes/{config.attribute}"
    feature = {key: tf.io.FixedLenFeature([], tf.int64)}
    sets = []
    for split, source in (("train", "train"), ("val", "validation"), ("test", "test")):
        records = _records(prepared, source)
        has = np.array(
            [
                int(tf.io.parse_single_example(records[i], feature)[key])
                for i in range(len(records))
            ]
        )
        crop = functools.partial(preprocessing.central_square, size=_CELEBA_SIZE)
        sides = (
            _records_set(records, split, np.flatnonzero(has == k), crop) for k in (0, 1)
        )
        sets.append(UnalignedSet(split, *sides))
    return sets


def _records(prepared, split):
    import tensorflow_datasets as tfds

    return prepared.as_data_source(
        split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
    )


def _records_set(records, name, places=None, crop=lambda image: image):
    """`ImageSet` of the images of TFDS records, of all or of some places."""
    places = np.arange(len(records)) if places is None else places
    feature = {"image": tf.io.FixedLenFeature([], tf.string)}

    def load(index):
        # Python only fetches bytes; parsing and decoding stay in the graph.
        record = tf.numpy_function(
            lambda i: np.array(records[int(places[i])], object), [index], tf.string
        )
        record = tf.ensure_shape(record, [])
        image = tf.io.parse_single_example(record, feature)["image"]
        return crop(preprocessing.decode(image))

    return ImageSet(tuple(f"{name}-{place:06d}" for place in places), load)
