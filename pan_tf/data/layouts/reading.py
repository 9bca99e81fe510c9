"""Listed files become splits: read, verified, loaded by number."""

import numpy as np
import tensorflow as tf
from absl import logging

from pan_tf.data.layouts import halves
from pan_tf.data.split import Images
from pan_tf.data.split import Split
from pan_tf.files import UnusableFilesError
from pan_tf.image_files import ImageFileError
from pan_tf.image_files import fitted
from pan_tf.image_files import read_picture
from pan_tf.image_files import read_raw


def open_listings(listings, specs):
    """Opens files.

    Args:
        listings: split -> `Listing` of pairs, or (`Listing` of A, of B).
        specs: `ImageSpec` of side A, of side B.

    Returns:
        (list of `Split`s, list of all (`Listing`, `ImageSpec`s of its images)).
    """
    splits, every = [], []
    for split, found in listings.items():
        if isinstance(found, tuple):
            sides = list(zip(found, specs, strict=True))
            splits.append(Split(split, *(_image_list(*side) for side in sides)))
            every += [(listing, (spec,)) for listing, spec in sides]
        else:
            load = _loader(found, specs)
            splits.append(Split.of_pairs(split, found.names, load, found.sizes))
            every.append((found, specs))
    for listing, _ in every:
        for sentence in halves.suspicions(listing):
            logging.warning("*** %s ***", sentence)
    return splits, every


def read(files, specs, is_side_by_side=False):
    """The images of a pair, or one alone.

    Args:
        files: paths, of a single image or one of two sides, or two.
        specs: `ImageSpec` of each image that is wanted.
        is_side_by_side: whether the one file holds A | B.

    Returns:
        List of NumPy arrays as `ImageSpec.fit` gives them.

    Raises:
        UnusableFilesError: naming the file that is not there or not such an image, or
            the two whose sizes differ.
    """
    if not is_side_by_side:
        if len(files) < len(specs) and specs[0].to_json() == specs[1].to_json():
            # A photo, of which its source is still to be made.
            return [_of_file(files[0], read_picture, specs[0]).pixels] * 2
        files = files if len(files) == len(specs) else files * len(specs)
        pairs = zip(files, specs, strict=True)
        found = [_of_file(file, read_picture, spec).pixels for file, spec in pairs]
        sizes = [pixels.shape[:2] for pixels in found]
        if len(set(sizes)) > 1:
            a, b = (f"{width} x {height} px" for height, width in sizes)
            raise UnusableFilesError(f"{files[0]} is {a}, but {files[1]} is {b}")
        return found
    (file,) = files
    as_labels = any(spec.labels for spec in specs)
    if as_labels and not all(spec.labels for spec in specs):
        raise UnusableFilesError(
            f"{file} holds A and B: one cannot be labels and the other colours. Put them "
            "into two folders, trainA and trainB."
        )
    picture = _of_file(file, read_raw, as_labels)
    half, odd = divmod(picture.pixels.shape[1], 2)
    if odd:
        raise UnusableFilesError(f"{file} is {2 * half + 1} px wide, not two halves")
    parts = [slice(0, half), slice(half, None)]
    return [
        _of_file(file, lambda _, s, part=part: fitted(picture, s, part).pixels, spec)
        for part, spec in zip(parts, specs, strict=True)
    ]


def _of_file(file, reader, argument):
    try:
        return reader(file, argument)
    except (ImageFileError, ValueError) as error:
        raise UnusableFilesError(f"{file} {error}") from None
    except OSError as error:  # It was there when the folder was listed.
        raise UnusableFilesError(f"{file}: {error.strerror or error}") from None


def _image_list(listing, spec):
    load = _loader(listing, (spec,))
    return Images(listing.names, lambda i: load(i)[0], read_sizes=listing.sizes)


def _loader(listing, specs):
    """Graph function, int64 scalar -> images of one number."""

    def read_number(i):
        found = read(listing.files[i], specs, listing.side_by_side)
        return [np.ascontiguousarray(pixels) for pixels in found]

    def load(index):
        kinds = [spec.dtype.name for spec in specs]
        made = tf.numpy_function(read_number, [index], kinds, stateful=False)
        made = tf.nest.flatten(made)  # Eagerly, a single one comes without its list.
        return tuple(
            tf.ensure_shape(pixels, (None, None, spec.planes))
            for pixels, spec in zip(made, specs, strict=True)
        )

    return load
