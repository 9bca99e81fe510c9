"""Unaligned data: two lists of images, of which none belongs to one of the other.

- `folder`: `D/trainA/*` and `D/trainB/*`, likewise `val` and `test`.
- CycleGAN's archives, and CelebA, through TensorFlow Datasets.
- `celeba_hq`: images in `D/celeba_hq/`, and lists of their names in `D/lists_hq/`, as
  published with the Perceptual Discriminators paper.

Of faces, --attribute says which list is which: A lacks it, B has it.
"""

import dataclasses
import pathlib

import numpy as np
import tensorflow as tf

from pan_tf.data import builders
from pan_tf.data import folder
from pan_tf.data import preprocessing
from pan_tf.data import records
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
# Files that TFDS downloads, where they are others than <name>.zip.
_MANUAL = {
    "celeb_a": (
        "img_align_celeba.zip",
        "list_eval_partition.txt",
        "list_attr_celeba.txt",
        "list_landmarks_align_celeba.txt",
        "identity_CelebA.txt",
    )
}
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

    TFDS itself takes files in place of a download, if they lie in
    `<data_dir>/downloads/manual/` under their own names, and compares their sha256.

    Raises:
        FileNotFoundError: if there is neither an archive nor a way to its host, or it
            does not give it.
        ValueError: if the archive is not the published one.
    """
    from tensorflow_datasets.core.download import download_manager
    from tensorflow_datasets.core.download import util

    files, host = _manual_paths(name, data_dir), _HOSTS.get(name, _CYCLEGAN_HOST)
    where = f"Put {' and '.join(map(str, files))} there and run the command again."
    if not all(file.is_file() for file in files) and not builders.host_answers(host):
        raise FileNotFoundError(f"{host} cannot be reached. {where}")
    try:
        builder(name, data_dir).download_and_prepare(
            download_dir=pathlib.Path(data_dir) / "downloads"
        )
    except util.DownloadError as error:
        raise FileNotFoundError(f"{host} does not give it: {error} {where}") from None
    except download_manager.NonMatchingChecksumError as error:
        raise ValueError(f"Not the published archive of {name}: {error}") from None


def manual_path(name, data_dir):
    """Where an archive is looked for before it is downloaded."""
    return _manual_paths(name, data_dir)[0]


def _manual_paths(name, data_dir):
    names = _MANUAL.get(name, (f"{name}.zip",))
    return [pathlib.Path(data_dir) / "downloads" / "manual" / file for file in names]


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


def missing_lists(config):
    """The sentence to say where celeba_hq is not there; None where it is."""
    images, without, having = _hq_paths(config, "train")
    if images.exists() and without.exists() and having.exists():
        return None
    return (
        f"The data set 'celeba_hq' must lie in --data_dir={config.data_dir}: images in "
        f"{images}, and lists of their names, one a line, in {having} (those that have "
        f"the attribute) and {without}; likewise for test."
    )


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
    fingerprint = records.fingerprint(prepared.info)
    if config.dataset == "celeb_a":
        return _by_attribute(prepared, config), f"{fingerprint} {config.attribute}"
    return _by_split(prepared), fingerprint


def _by_split(prepared):
    def side(name):
        return _record_set(records.open_split(prepared, name), name)

    return [
        UnalignedSet(split, side(f"{split}A"), side(f"{split}B"))
        for split in ("train", "test")
    ]


def _by_attribute(prepared, config):
    names = prepared.info.features["attributes"].keys()
    if config.attribute not in names:
        raise ValueError(
            f"--attribute must be one of: {', '.join(sorted(names))}. "
            f"Received: attribute={config.attribute}."
        )
    sets = []
    for split, source in (("train", "train"), ("val", "validation"), ("test", "test")):
        found = records.open_split(prepared, source)
        (has,) = records.columns(found, [f"attributes/{config.attribute}"]).T
        lists = (np.flatnonzero(has == value) for value in (0, 1))
        sets.append(
            UnalignedSet(
                split, *(_faces(found, split, places, names) for places in lists)
            )
        )
    return sets


def _faces(found, split, places, names):
    """`ImageSet` of some faces, all of whose attributes can be asked for."""

    def attributes():
        return records.columns(found, [f"attributes/{name}" for name in names])[places]

    faces = _record_set(found, split, places, _middle)
    return dataclasses.replace(faces, attributes=attributes)


def _middle(image):
    return preprocessing.central_square(image, _CELEBA_SIZE)


def _record_set(found, name, places=None, change=lambda image: image):
    """`ImageSet` of the images of TFDS records, of all or of some places."""
    places = np.arange(len(found)) if places is None else places
    load = records.image_loader(found, "image", places)
    names = tuple(f"{name}-{place:06d}" for place in places)
    return ImageSet(names, lambda index: change(load(index)))
