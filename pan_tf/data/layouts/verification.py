"""Every file is read once before it is relied on: at once, or beside a training."""

import concurrent.futures
import hashlib
import itertools
import math
import os
import threading
import time

from pan_tf import fingerprints
from pan_tf.data.layouts.listing import some
from pan_tf.data.layouts.reading import read
from pan_tf.files import UnusableFilesError
from pan_tf.progress import Progress

_CHUNK = 64  # Files that are given to threads together: 100 000 tasks need memory.


class Verification:
    """Reads every file as training will, in a thread that begins at once.

    Args:
        listings: (`Listing`, `ImageSpec`s of its images) of each.
        names: `listing_fingerprint` of them.

    Attributes:
        done: how many pairs, or images, are read.
        total: how many there are.
    """

    def __init__(self, listings, names):
        self._listings, self._names = listings, names
        self.done, self.total = 0, sum(len(each.files) for each, _ in listings)
        self._problems, self._digest, self._error = [], hashlib.sha256(), None
        self._beside, self._is_closed = False, False
        self._may_read = threading.Event()
        self._may_read.set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def is_done(self):
        """Whether all is read."""
        return not self._thread.is_alive()

    @property
    def has_found(self):
        """Whether something unusable is among what is read."""
        return bool(self._problems or self._error)

    def wait(self, seconds=None):
        """Waits until all is read, or so long; a line follows.

        Returns:
            Whether it is known by then: all is read, or something is unusable. If not,
            it rests until `go_on`.
        """
        with Progress(self.total, "reading every file") as progress:
            end = time.monotonic() + (math.inf if seconds is None else seconds)
            while not self.is_done and time.monotonic() < end:
                self._thread.join(0.05)
                progress.advance(self.done - progress.done)
        is_known = self.is_done or self.has_found
        if not is_known:
            self._may_read.clear()
        return is_known

    def go_on(self):
        """Goes on beside a training, in one thread; in all once something is found."""
        self._beside = not self.has_found
        self._may_read.set()

    def close(self):
        """Reads no more."""
        self._is_closed = True
        self._may_read.set()

    def fingerprint(self):
        """What tells the files from others, names, sizes and contents; waits for it.

        Raises:
            UnusableFilesError: naming the files that are corrupt, not such images, of
                odd width where A and B are side by side, or whose A and B differ in size.
        """
        self._beside = False
        self._may_read.set()
        self.wait()
        if self._error:
            raise self._error
        if self._problems:
            is_single = all(listing.is_single for listing, _ in self._listings)
            raise UnusableFilesError(
                f"{len(self._problems)} of {self.total} "
                f"{'images' if is_single else 'pairs'} cannot be used: "
                f"{some(self._problems)}"
            )
        return fingerprints.join(self._names, self._digest.hexdigest())

    def _run(self):
        every = (
            (files, specs, listing.side_by_side)
            for listing, specs in self._listings
            for files in listing.files
        )
        try:
            with concurrent.futures.ThreadPoolExecutor() as pool:
                while chunk := list(itertools.islice(every, _CHUNK)):
                    self._may_read.wait()
                    if self._is_closed:
                        raise RuntimeError("The files' verification was closed.")
                    apply = map if self._beside else pool.map
                    for digest, problem in apply(_check, *zip(*chunk, strict=True)):
                        self._digest.update(digest.encode())
                        self.done += 1
                        if problem:
                            self._problems.append(problem)
        except BaseException as error:  # Whoever waits raises it.
            self._error = error


def listing_fingerprint(listings):
    """sha256 of names and sizes: quick, to see whether anything has changed."""
    digest = hashlib.sha256()
    for listing in listings:
        for file in (file for files in listing.files for file in files):
            entry = f"{file.parent.name}/{file.name} {file.stat().st_size}\n"
            digest.update(os.fsencode(entry))
    return digest.hexdigest()


def _check(files, specs, is_side_by_side):
    """(sha256 of the pair's files, what is wrong with them or None)."""
    digest = hashlib.sha256()
    try:
        for file in files:
            digest.update(file.read_bytes())
        read(files, specs, is_side_by_side)
    except ValueError as error:
        return digest.hexdigest(), str(error)
    # It was there when the folder was listed; a disk's own errors have no file.
    except OSError as error:
        named = error.filename or " and ".join(map(str, files))
        return digest.hexdigest(), f"{named}: {error.strerror or error}"
    return digest.hexdigest(), None
