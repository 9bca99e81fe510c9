"""What is printed never fails the work.

A file's name may have characters that the terminal's encoding has not, or that the
terminal would obey, or be no text at all; the reader of a pipe may go, the disk of a log
file fill up, a daemon have no output.
"""

import contextlib
import decimal
import io
import os
import sys

_NAMES = ("stdout", "stderr")
# Control characters, but for new lines and tabs, and what turns the direction of writing.
_OBEYED = [*range(32), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_ESCAPED = {n: repr(chr(n))[1:-1] for n in _OBEYED if chr(n) not in "\n\r\t"}
_ONE_LINE = {n: repr(chr(n))[1:-1] for n in _OBEYED}


@contextlib.contextmanager
def sturdy():
    """Context in which stdout and stderr take any text, and raise nothing.

    What an encoding lacks is escaped, `\\u5199`, and so is what a terminal would obey,
    `\\x1b`. What cannot be written is lost. Streams that are no files, such as a
    notebook's, stay what they are.
    """
    before, own = {name: getattr(sys, name) for name in _NAMES}, {}
    for name, stream in before.items():
        if stream is None or isinstance(stream, io.TextIOWrapper):
            own[name] = _Sturdy(stream or open(os.devnull, "w", encoding="utf-8"))
            setattr(sys, name, own[name])
    try:
        yield
    finally:
        for name, stream in own.items():
            # Another thread may have come between, and is not done.
            if getattr(sys, name) is stream:
                setattr(sys, name, before[name])


@contextlib.contextmanager
def for_terminals():
    """Context in which control characters are printed: libraries draw bars with them."""
    streams = [s for n in _NAMES if isinstance(s := getattr(sys, n), _Sturdy)]
    for stream in streams:
        stream.is_obeyed = True
    try:
        yield
    finally:
        for stream in streams:
            stream.is_obeyed = False


def two_digits(number):
    """A number with two digits that count, and no exponent: 0.052, 3.8, 290."""
    return f"{decimal.Decimal(f'{number:.2g}'):f}"


def one_line(text):
    """Text without line breaks and control characters: they are escaped."""
    return str(text).translate(_ONE_LINE)


class _Sturdy:
    def __init__(self, stream):
        self._stream, self.is_obeyed = stream, False

    def write(self, text):
        encoding = self._stream.encoding or "utf-8"
        if not self.is_obeyed:
            text = text.translate(_ESCAPED)
        text = text.encode(encoding, "backslashreplace").decode(encoding)
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self):
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name):
        return getattr(self._stream, name)
