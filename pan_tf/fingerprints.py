"""What tells the files of a data set from others, as run folders keep it.

Of a user's own files: a digest of their names and sizes, a colon, and one of their
contents, or `UNVERIFIED` until all are read.
"""

UNVERIFIED = "unverified"


def join(listing, contents=UNVERIFIED):
    """The fingerprint of two digests."""
    return f"{listing}:{contents}"


def is_of(fingerprint, listing):
    """Whether it is of files of such names and sizes, all of which were read."""
    return fingerprint.startswith(listing) and not fingerprint.endswith(UNVERIFIED)


def same_files(fingerprint, other):
    """Whether two may be of the same files, as far as both are known."""
    (listing, _, contents), (listing_2, _, contents_2) = (
        each.partition(":") for each in (fingerprint, other)
    )
    is_known = UNVERIFIED not in (contents, contents_2)
    return listing == listing_2 and (contents == contents_2 or not is_known)
