"""At which scale T sees an image that is to be translated: `--scale`."""

import dataclasses

import numpy as np
import tensorflow as tf

from pan_tf.size import Size


@dataclasses.dataclass(frozen=True)
class Scale:
    """How an image is brought to size before T, and its output back after it.

    Attributes:
        value: "auto", to the training's scale; "native", as it is; or a number, by which
            both sides are multiplied.
    """

    value: str | float = "auto"

    @classmethod
    def of(cls, value):
        """A scale from "auto", "native", a number, or its text.

        Raises:
            ValueError: with the rule, if it is none of these.
        """
        if isinstance(value, cls):
            return value
        if value in ("auto", "native"):
            return cls(value)
        try:
            number = 0.0 if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = 0.0
        if not 1e-3 <= number <= 1e3:
            raise ValueError("must be auto, native, or a number, as 0.5")
        return cls(number)

    def seen_size(self, geometry, height, width):
        """The `Size` at which T sees an image.

        Args:
            geometry: `data.Geometry` of training; None where it is not known, for which
                "auto" is "native".
            height, width: of the image, in pixels, for graphs too: int32 scalars.
        """
        if self.value == "native" or (self.value == "auto" and geometry is None):
            return Size(height, width)
        if self.value == "auto":
            return geometry.measured_size(height, width)
        return Size(*(_scaled(side, self.value) for side in (height, width)))

    def __str__(self):
        return self.value if isinstance(self.value, str) else f"{self.value:g}"


def _scaled(side, factor):
    """Pixels of a side times a factor, at least one."""
    if not tf.is_tensor(side):
        return max(1, int(np.floor(side * factor + 0.5)))
    scaled = tf.floor(tf.cast(side, tf.float64) * factor + 0.5)
    return tf.maximum(tf.cast(scaled, side.dtype), 1)
