"""Height and width of images."""

import numbers
import re
from typing import NamedTuple


class Size(NamedTuple):
    """Pixels of an image; written "256" where it is square, else "256x512".

    >>> Size.of("256x512").pixels
    131072
    >>> Size.of(256) == (256, 256)
    True
    """

    height: int
    width: int

    @classmethod
    def of(cls, value):
        """A size from a number (a square), "256", "256x512", or (height, width).

        Raises:
            ValueError: if it is none of these.
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, numbers.Integral):  # NumPy's, too.
            return cls(int(value), int(value))
        if isinstance(value, str) and re.fullmatch(r"\d+(x\d+)?", value):
            sides = [int(side) for side in value.split("x")]
            return cls(sides[0], sides[-1])
        is_list = isinstance(value, tuple | list) and len(value) == 2
        if is_list and all(isinstance(side, numbers.Integral) for side in value):
            return cls(*map(int, value))
        raise ValueError("must be pixels, as 256, or height x width, as 256x512")

    @property
    def is_square(self):
        """Whether both sides are equal."""
        return self.height == self.width

    @property
    def pixels(self):
        """Their number."""
        return self.height * self.width

    def scaled(self, factor):
        """Both sides times a factor, rounded."""
        return Size(round(self.height * factor), round(self.width * factor))

    def to_json(self):
        """A number for a square, else `[height, width]`."""
        return self.height if self.is_square else list(self)

    def __str__(self):
        return f"{self.height}" if self.is_square else f"{self.height}x{self.width}"
