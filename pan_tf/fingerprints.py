"""What tells the files of a data set from others, as run folders keep it.

That of a user's own files is a digest of their names and sizes, a colon, and a digest of
their contents, or `UNVERIFIED` until all are read.
"""

UNVERIFIED = "unverified"


def join(names, contents=UNVERIFIED):
    """The fingerprint of two digests: of names and sizes, and of contents."""
    return f"{names}:{contents}"


def is_of(fingerprint, names):
    """Whether it is of files of such names and sizes, all of which were read."""
    return fingerprint.startswith(names) and not fingerprint.endswith(UNVERIFIED)


def same_files(fingerprint, other):
    """Whether two may be of the same files, as far as both are known."""
    (names, _, contents), (names_2, _, contents_2) = (
        each.partition(":") for each in (fingerprint, other)
    )
    is_known = UNVERIFIED not in (contents, contents_2)
    return names == names_2 and (contents == contents_2 or not is_known)
