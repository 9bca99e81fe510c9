"""Listed files become splits: read, verified, loaded by number."""

import concurrent.futures
import hashlib
import os

import numpy as np
import tensorflow as tf
from absl import logging

from pan_tf.data.layouts import halves
from pan_tf.data.layouts.listing import some
from pan_tf.data.split import Images
from pan_tf.data.split import Split
from pan_tf.image_files import ImageFileError
from pan_tf.image_files import fitted
from pan_tf.image_files import read_picture
from pan_tf.image_files import read_raw
from pan_tf.progress import followed


def open_listings(listings, verified, specs):
    """Opens files.

    Args:
        listings: split -> `Listing` of pairs, or (`Listing` of A, of B).
        verified: as in `data.open_data`.
        specs: `ImageSpec` of side A, of side B.

    Returns:
        (list of `Split`s, fingerprint).
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
    return splits, fingerprint(every, verified)


def read(files, specs, is_side_by_side=False):
    """The images of a pair, or one alone.

    Args:
        files: paths, of a single image or one of two sides, or two.
        specs: `ImageSpec` of each image that is wanted.
        is_side_by_side: whether the one file holds A | B.

    Returns:
        List of NumPy arrays as `ImageSpec.fit` gives them.

    Raises:
        ValueError: naming the file that is not such an image.
    """
    if not is_side_by_side:
        if len(files) < len(specs) and specs[0].to_json() == specs[1].to_json():
            # A photo, of which its source is still to be made.
            return [_of_file(files[0], read_picture, specs[0]).pixels] * 2
        files = files if len(files) == len(specs) else files * len(specs)
        pairs = zip(files, specs, strict=True)
        return [_of_file(file, read_picture, spec).pixels for file, spec in pairs]
    (file,) = files
    as_labels = any(spec.labels for spec in specs)
    if as_labels and not all(spec.labels for spec in specs):
        raise ValueError(
            f"{file} holds A and B: one cannot be labels and the other colours. Put them "
            "into two folders, trainA and trainB."
        )
    picture = _of_file(file, read_raw, as_labels)
    half, odd = divmod(picture.pixels.shape[1], 2)
    if odd:
        raise ValueError(f"{file} is {2 * half + 1} px wide, not two halves")
    parts = [slice(0, half), slice(half, None)]
    return [
        _of_file(file, lambda _, s, part=part: fitted(picture, s, part).pixels, spec)
        for part, spec in zip(parts, specs, strict=True)
    ]


def _of_file(file, reader, argument):
    try:
        return reader(file, argument)
    except (ImageFileError, ValueError) as error:
        raise ValueError(f"{file} {error}") from None


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


def listing_fingerprint(listings):
    """sha256 of names and sizes: quick, to see whether anything has changed."""
    digest = hashlib.sha256()
    for listing in listings:
        for file in (file for files in listing.files for file in files):
            entry = f"{file.parent.name}/{file.name} {file.stat().st_size}\n"
            digest.update(os.fsencode(entry))
    return digest.hexdigest()


def fingerprint(listings, verified):
    """What tells contents of all files from others.

    Args:
        listings: (`Listing`, `ImageSpec`s of its images) of each.
        verified: as in `data.open_data`.

    Raises:
        ValueError: as `verify`.
    """
    listing = listing_fingerprint([each for each, _ in listings])
    if verified and verified["fingerprint"].startswith(listing):
        return verified["fingerprint"]
    return f"{listing}:{verify(listings)}"


def verify(listings):
    """Reads every file once, as training will.

    Args:
        listings: (`Listing`, `ImageSpec`s of its images) of each.

    Returns:
        sha256 of the contents of all files.

    Raises:
        ValueError: naming the files that are corrupt, not such images, of odd width
            where A and B are side by side, or whose A and B differ in size.
    """
    every = [
        (files, specs, listing.side_by_side)
        for listing, specs in listings
        for files in listing.files
    ]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        checked = pool.map(lambda each: _check(*each), every)
        results = list(followed(checked, "reading every file", len(every)))
    problems = [problem for _, problem in results if problem]
    if problems:
        is_single = all(listing.is_photos for listing, _ in listings)
        raise ValueError(
            f"{len(problems)} of {len(every)} {'images' if is_single else 'pairs'} "
            f"cannot be used: {some(problems)}"
        )
    return hashlib.sha256("".join(d for d, _ in results).encode()).hexdigest()


def _check(files, specs, is_side_by_side):
    """(sha256 of the pair's files, what is wrong with them or None)."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    try:
        found = read(files, specs, is_side_by_side)
    except ValueError as error:
        return digest.hexdigest(), str(error)
    sizes = [pixels.shape[:2] for pixels in found]
    if len(set(sizes)) > 1:
        a, b = (f"{width} x {height} px" for height, width in sizes)
        return digest.hexdigest(), f"{files[0]} is {a}, but {files[1]} is {b}"
    return digest.hexdigest(), None
