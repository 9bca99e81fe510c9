"""Sets without pairs that TensorFlow Datasets knows: CycleGAN's archives, and CelebA.

--attribute says which list of faces is which: A lacks it, B has it.
"""

import dataclasses

import numpy as np

from pan_tf.data import geometry
from pan_tf.data import records
from pan_tf.data.layouts import archives
from pan_tf.data.split import Images
from pan_tf.data.split import Split

# Pixels a side of the middle of a CelebA image; Perceptual Discriminators, Sec. 4.
_CELEBA_SIZE = 160


@dataclasses.dataclass(frozen=True)
class TFDS(archives.Archived):
    """Two lists of images from the records of a builder of TFDS.

    TFDS itself takes files in place of a download, if they lie in `downloads/manual/`
    under their own names, and compares their sha256.
    """

    def builder(self, name, data_dir):
        """The TFDS builder of a data set under `data_dir`, prepared or not."""
        import tensorflow_datasets as tfds

        return tfds.builder(
            self.name_in_tfds(name), data_dir=data_dir, file_format="array_record"
        )

    def prepare(self, name, data_dir):
        from tensorflow_datasets.core.download import download_manager

        try:
            super().prepare(name, data_dir)
        except download_manager.NonMatchingChecksumError as error:
            raise ValueError(f"Not the published archive of {name}: {error}") from None


class CycleGAN(TFDS):
    """An archive of CycleGAN: trainA, trainB, testA, testB."""

    def name_in_tfds(self, name):
        return f"cycle_gan/{name}"

    def open(self, name, config, verified, paired, specs):
        prepared = self.builder(name, config.data_dir)
        return _by_split(prepared, specs), records.fingerprint(prepared.info), None


class CelebA(TFDS):
    """Faces, parted by an attribute."""

    def name_in_tfds(self, name):
        return "celeb_a"

    def open(self, name, config, verified, paired, specs):
        prepared = self.builder(name, config.data_dir)
        fingerprint = records.fingerprint(prepared.info)
        splits = _by_attribute(prepared, config, specs)
        return splits, f"{fingerprint} {config.attribute}", None


def _by_split(prepared, specs):
    def side(name, spec):
        found = _record_set(records.open_split(prepared, name), name)
        return found.converted(spec)

    return [
        Split(split, *(side(f"{split}{s}", n) for s, n in zip("AB", specs, strict=True)))
        for split in ("train", "test")
    ]


def _by_attribute(prepared, config, specs):
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
        sides = (
            _faces(found, split, places, names).converted(spec)
            for places, spec in zip(lists, specs, strict=True)
        )
        sets.append(Split(split, *sides))
    return sets


def _faces(found, split, places, names):
    """`Images` of some faces, all of whose attributes can be asked for."""

    def attributes():
        return records.columns(found, [f"attributes/{name}" for name in names])[places]

    def middle(image):
        return geometry.middle(image, _CELEBA_SIZE)

    faces = _record_set(found, split, places, middle)
    return dataclasses.replace(faces, attributes=attributes)


def _record_set(found, name, places=None, change=lambda image: image):
    """`Images` of the images of TFDS records, of all or of some places."""
    places = np.arange(len(found)) if places is None else places
    load = records.image_loader(found, "image", places)
    names = tuple(f"{name}-{place:06d}" for place in places)
    return Images(names, lambda index: change(load(index)))
