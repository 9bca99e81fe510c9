"""A user's own files, and what all data sets that are files have in common.

`D/train/*.jpg` holds A | B in one image, A on the left; or `D/trainA/*` and `D/trainB/*`
hold two lists of files with equal names (endings may differ), or, without pairs, with any
names. Likewise `val` and `test`. Files are whatever `image_files` reads.
"""

from pan_tf import fingerprints
from pan_tf.data.layouts import listing
from pan_tf.data.layouts import shards
from pan_tf.data.layouts.reading import open_listings
from pan_tf.data.layouts.verification import Verification
from pan_tf.data.layouts.verification import listing_fingerprint
from pan_tf.data.split import evenly


class Files:
    """A layout of files, which a subclass lists.

    A subclass defines `find(name, config, split)`, which gives the `Listing` of pairs, or
    the two `Listing`s of what has none; None where there is no such split. Its
    `sentence(name, config)` says what is missing where there is none of the splits.
    """

    def missing(self, name, config, splits):
        if all(self.find(name, config, split) is None for split in splits):
            return self.sentence(name, config)
        return None

    def open(self, name, config, verified, paired, specs):
        found = {split: self.find(name, config, split) for split in listing.SPLITS}
        return _open(found, verified, specs)


class Folder:
    """`folder`: a user's own images in `train`, or `trainA` and `trainB`, and so on."""

    def missing(self, name, config, splits):
        if any(listing.exists(config.data_dir, split) for split in splits):
            return None  # Whether pairs or two lists, is looked at when it is opened.
        every = ", ".join(f"{split}/, nor {split}A/ and {split}B/" for split in splits)
        begun = shards.unfinished(config.data_dir)
        return f"No {every}, in --data_dir={config.data_dir}.{begun}"

    def open(self, name, config, verified, paired, specs):
        first = listing.first_split(config.data_dir)
        both = not paired and listing.has_two(config.data_dir, first)
        list_split = listing.find_two if both else listing.find
        found = {split: list_split(config.data_dir, split) for split in listing.SPLITS}
        return _open(found, verified, specs)

    def sides(self, config, limit):
        """(files, their headers) of the first split's images of side A, and of side B.

        Args:
            config: `Config`.
            limit: of each side, how many are looked at; None: all.
        """
        first = listing.first_split(config.data_dir)
        found = listing.find_two(config.data_dir, first)
        if found is None:
            return [_of_side(listing.find(config.data_dir, first), limit)] * 2
        return [_of_side(each, limit) for each in found]


class Photos(Files):
    """`photos`: single images in `train`, `val` and `test`."""

    def find(self, name, config, split):
        return listing.find_photos(config.data_dir, split)

    def sentence(self, name, config):
        return f"No train/ in --data_dir={config.data_dir}."

    def sides(self, config, limit):
        """As of `Folder`: one list is both sides."""
        first = listing.first_split(config.data_dir)
        return [_of_side(listing.find_photos(config.data_dir, first), limit)] * 2


def _open(found, verified, specs):
    """Splits of what was found; (splits, fingerprint, `Verification` or None)."""
    listings = {split: listed for split, listed in found.items() if listed}
    splits, every = open_listings(listings, specs)
    named = listing_fingerprint([each for each, _ in every])
    known = verified["fingerprint"] if verified else ""
    if fingerprints.is_of(known, named):
        return splits, known, None
    return splits, fingerprints.join(named), Verification(every, named)


def _of_side(found, limit):
    places = evenly(len(found.files), limit)
    files = [found.files[place][0] for place in places]
    both = zip(files, found.headers(places), strict=True)
    known = [(file, header) for file, header in both if header]
    return [file for file, _ in known], [header for _, header in known]
