"""The line that follows a long job.

On a terminal and in a notebook it is rewritten in place, with a bar; elsewhere, as in a
log file, a line is written now and then.
"""

import shutil
import sys
import time

WIDTH = 120  # Columns that a line has at most.
_BAR = 20
# Seconds between two rewritings, before the first line of a log file, and between two.
_LIVE, _FIRST, _LATER = 0.2, 10.0, 30.0


def is_live():
    """Whether a line can be rewritten: on a terminal, or in a notebook."""
    in_notebook = type(sys.stdout).__module__.startswith("ipykernel")
    return in_notebook or sys.stdout.isatty()


def duration(seconds):
    """Seconds as text.

    >>> duration(185), duration(7800)
    ('3m05s', '2h10m')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{seconds:02d}s"


def bar(done, total):
    """A bar of 20 characters in brackets.

    >>> bar(3, 10)
    '[######..............]'
    """
    full = int(_BAR * min(1.0, done / total)) if total else _BAR
    return f"[{'#' * full}{'.' * (_BAR - full)}]"


def joined(parts, width=WIDTH):
    """As many parts as fit into a line; the first is there in any case."""
    line, *rest = parts
    for part in rest:
        if len(line) + len(part) + 3 <= width:
            line += f" | {part}"
    return line


class Line:
    """One line on stdout that is written anew."""

    def __init__(self):
        self.is_live = is_live()
        self.width = WIDTH
        if self.is_live:
            self.width = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns - 1)
        self._shown = ""

    def show(self, text):
        """Rewrites the line; where nothing can be rewritten, writes another one."""
        if not self.is_live:
            print(text, flush=True)
            return
        text = text[: self.width]
        # Blanks over what was there: not every notebook knows the codes of terminals.
        print(f"\r{text.ljust(len(self._shown))}\r{text}", end="", flush=True)
        self._shown = text

    def close(self, keep=True):
        """Ends the line; what comes next begins a new one."""
        if self._shown and keep:  # Another job's line may have been over it.
            print(f"\r{self._shown}", flush=True)
        elif self._shown:
            print(f"\r{' ' * len(self._shown)}\r", end="", flush=True)
        self._shown = ""


class Progress:
    """Counts what is done of a job of known length; a context.

        with Progress(len(paths), "reading files") as progress:
            for path in paths:
                ...
                progress.advance()

    Nothing is shown of jobs that take no time.

    Args:
        total: number of steps.
        what: what is done, such as "reading files".
    """

    def __init__(self, total, what):
        self.total, self.what, self.done = total, what, 0
        self._line = Line()
        self._started = time.monotonic()
        self._next = self._started + (1.0 if self._line.is_live else _FIRST)

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        self._line.close(keep=False)

    def advance(self, count=1):
        """Says that `count` more steps are done."""
        self.done += count
        now = time.monotonic()
        if now < self._next or not self.done:
            return
        self._next = now + (_LIVE if self._line.is_live else _LATER)
        left = (self.total - self.done) * (now - self._started) / self.done
        text = f"{self.what} {bar(self.done, self.total)} {self.done}/{self.total}"
        parts = [text, f"{duration(max(0.0, left))} left"]
        self._line.show(joined(parts, self._line.width))


def followed(items, what, total=None):
    """Iterates while a `Progress` follows.

    Args:
        items: iterable.
        what: as of `Progress`.
        total: number of items; None: as many as `items` says.
    """
    with Progress(len(items) if total is None else total, what) as progress:
        for item in items:
            yield item
            progress.advance()
