"""Images that are on their way through a job at once, each in a thread."""

import contextlib
import os
import threading

# While T works on one, others are read and written; and two small ones keep cores busier
# than one. No more pixels than these are on their way, unless a single image has more.
AT_ONCE, _PIXELS = max(2, min(4, os.cpu_count() or 1)), 2**24


class Ended(BaseException):
    """The job was interrupted: an image that is under way is not needed any more."""


class Traffic:
    """How many images may be on their way at once, and that they end with their job.

    Attributes:
        alone: lock under which T gets large images.
    """

    def __init__(self):
        self.alone = threading.Lock()
        self._pixels, self._has_ended = 0, False
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def of(self, pixels):
        """Context of an image, which waits for others where they have too many pixels."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_room(pixels) or self._has_ended)
            self._check()
            self._pixels += pixels
        try:
            yield
        finally:
            with self._changed:
                self._pixels -= pixels
                self._changed.notify_all()

    def counting(self, tiles):
        """What is called after each tile: counts it, or ends the image with the job."""

        def advance():
            self._check()
            tiles.advance()

        return advance

    def end(self):
        """Ends images at their next tile, or before they begin."""
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def _has_room(self, pixels):
        return not self._pixels or self._pixels + pixels <= _PIXELS

    def _check(self):
        if self._has_ended:
            raise Ended
