"""Images as numbers: the one place that knows how pixels are scaled, and channels told.

Inside the package an image is float32 `[H, W, C]` in [-1, 1]; on disk and in a picture it
is uint8 in [0, 255], or uint16 in [0, 65535]. C is 1 (grey), 3 (RGB), 4 (RGB and alpha,
or any fourth), or as many as files have. 127.5 appears in this file only.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from pan_tf import tables
from pan_tf.size import Size

PEAK = 255.0  # The largest level of 8 bits.
PEAK_16 = 65535  # And of 16.
STEP_16 = 257  # Levels of 16 bits to one of 8: 255 becomes 65535.
LEVEL = 2.0 / PEAK  # One level, of an image in [-1, 1].
# NumPy dtypes of files whose values are levels.
WHOLE_KINDS = ("uint8", "uint16")
# Channels that can become each other: grey, RGB, RGB with alpha.
CONVERTIBLE = (1, 3, 4)
# Luma of RGB, Y = .299 R + .587 G + .114 B.
LUMA = (0.299, 0.587, 0.114)


@dataclasses.dataclass(frozen=True)
class ImageSpec:
    """What the images of one side of a data set are.

    In memory they are uint8 or uint16 `[H, W, C]`, whatever their files hold; a label map
    is one plane of numbers, and `channels` planes of a network's input.

    Attributes:
        channels: that networks see.
        bits: of a channel, 8 or 16.
        labels: number of the classes of a label map; None of other images.
        low, high: values of a file that become the smallest and the largest level; None
            for the full range of its unsigned integers.
        kind: NumPy dtype of the files, which outputs are given again.
        has_alpha: whether the last of four channels is transparency, which has no range.
    """

    channels: int = 3
    bits: int = 8
    labels: int | None = tables.later(None)
    # How files are read and written; no part of a system.
    low: float | None = dataclasses.field(default=None, compare=False)
    high: float | None = dataclasses.field(default=None, compare=False)
    kind: str = dataclasses.field(default="uint8", compare=False)
    has_alpha: bool = dataclasses.field(default=False, compare=False)

    @classmethod
    def of(cls, value):
        """A spec as it is; of a number, 8 bits of so many channels."""
        return value if isinstance(value, cls) else cls(value)

    @classmethod
    def from_json(cls, found):
        """What `to_json` gave; None of None.

        Raises:
            ValueError: if it is damaged.
        """
        try:
            return found and cls(**found)
        except TypeError:
            raise ValueError(f"What was kept of images is damaged: {found}.") from None

    def to_json(self):
        """What a manifest and a label hold."""
        values = dataclasses.asdict(self)
        return {k: v for k, v in values.items() if v is not None and v is not False}

    @property
    def is_whole(self):
        """Whether its files hold levels, which need no range."""
        return self.kind in WHOLE_KINDS

    @property
    def dtype(self):
        """NumPy dtype in memory."""
        return np.dtype(np.uint16 if self.bits == 16 else np.uint8)

    @property
    def planes(self):
        """Channels in memory."""
        return 1 if self.labels else self.channels

    @property
    def takes_8_bits(self):
        """Whether files of 8 bits can be among those of `kind`."""
        if self.low is None or self.kind == "uint8":
            return True
        # 255 is not 1.0, and nearly 0 of 12 bits.
        return np.dtype(self.kind).kind in "iu" and 0 <= self.low and self.high <= 255

    def converts_to(self, other):
        """Whether there is a rule that makes of such images those of another spec."""
        # Numbers of classes are no image.
        return not self.labels and can_convert(self.channels, other.channels)

    def convert(self, pixels):
        """Pixels of another depth or number of channels, as these images have them."""
        return to_bits(with_channels(pixels, self.channels), self.bits)

    def fit(self, values, missing=None):
        """Values of a file -> pixels in memory.

        Args:
            values: `[H, W, C]`, NumPy, of any kind of number.
            missing: bool likewise, of those that are none, and become the lowest level of
                a range; None: those that are not finite.

        Returns:
            `[H, W, planes]` of `dtype`.

        Raises:
            ValueError: if there is no rule for such values; the message is part of a
                sentence on the file.
        """
        if self.labels:
            return self._fit_labels(values)
        if values.dtype == bool:
            values = values.astype(np.uint8) * 255
        if self.low is not None:
            if values.dtype == np.uint8 and not self.takes_8_bits:
                raise ValueError(
                    f"is of 8 bits, which {self} would make black or white: store its "
                    f"values as {self.kind}"
                )
            if self.has_alpha and values.shape[-1] == 4:
                if missing is not None:
                    missing = missing[..., :3]
                colors = self._without_alpha().fit(values[..., :3], missing)
                return np.concatenate([colors, self._fit_alpha(values[..., 3:])], -1)
            missing = ~np.isfinite(values) if missing is None else missing
            values = np.where(missing, self.low, values.astype(np.float64))
            share = np.clip((values - self.low) / (self.high - self.low), 0.0, 1.0)
            values = np.round(share * (2**self.bits - 1)).astype(self.dtype)
        elif values.dtype not in (np.uint8, np.uint16):
            raise ValueError(
                f"holds {values.dtype} pixels, which have no range of their own: train "
                "with --source_range or --target_range, or store 8 or 16 bits"
            )
        return with_channels(to_bits(values, self.bits), self.channels)

    def _without_alpha(self):
        return dataclasses.replace(self, channels=3, has_alpha=False)

    def _fit_alpha(self, values):
        """Transparency of a file, which has no range of its own."""
        if values.dtype.kind == "f":
            share = np.clip(np.nan_to_num(values.astype(np.float64)), 0.0, 1.0)
        else:
            share = values / np.iinfo(values.dtype).max
        return np.round(share * (2**self.bits - 1)).astype(self.dtype)

    def restore(self, pixels):
        """Pixels in memory -> values of a file's kind: the way back of `fit`."""
        kind = np.dtype(self.kind)
        if self.labels or self.low is None:
            return pixels
        share = pixels.astype(np.float64) / (2**self.bits - 1)
        values = share * (self.high - self.low) + self.low
        if kind.kind == "f":
            if self.has_alpha:
                values[..., 3] = share[..., 3]
            return values.astype(kind)
        limits = np.iinfo(kind)
        if self.has_alpha:
            values[..., 3] = share[..., 3] * limits.max
        return np.clip(np.round(values), limits.min, limits.max).astype(kind)

    def to_float(self, pixels):
        """Pixels in memory `[..., planes]` -> float32 `[..., channels]` in [-1, 1]."""
        if not self.labels:
            return to_float(pixels)
        return 2.0 * tf.one_hot(tf.cast(pixels[..., 0], tf.int32), self.labels) - 1.0

    def resize(self, pixels, size):
        """Pixels in memory of another size: by Lanczos, of labels the nearest."""
        if not self.labels:
            return resize(pixels, size)
        return tf.image.resize(pixels, size, "nearest")

    def show(self, image):
        """float `[..., channels]` in [-1, 1] -> uint8 RGB for the eye."""
        if self.labels:
            return colors_of(self.to_levels(image))
        return as_rgb(to_levels(image, self.bits))

    def to_levels(self, image):
        """float `[..., channels]` in [-1, 1] -> pixels in memory."""
        if not self.labels:
            return to_levels(image, self.bits)
        classes = tf.argmax(image, -1, tf.int32)[..., None]
        return tf.cast(classes, self.dtype.name)

    def _fit_labels(self, values):
        if values.shape[-1] != 1 or values.dtype.kind not in "uib":
            raise ValueError(
                f"holds {values.dtype} of {values.shape[-1]} channels; a label map is a "
                "palette or grey image of whole numbers"
            )
        least, most = int(values.min()), int(values.max())
        if least < 0 or most >= self.labels:
            wrong = least if least < 0 else most
            raise ValueError(
                f"holds label {wrong}; --source_labels={self.labels} knows 0 to "
                f"{self.labels - 1}"
            )
        return values.astype(self.dtype)

    def __str__(self):
        if self.labels:
            return f"{self.labels} labels"
        names = {1: "grey", 3: "RGB", 4: "four channels"}
        said = names.get(self.channels, f"{self.channels} channels")
        said += f" of {self.bits} bits"
        if self.low is None:
            return said
        return f"{said} ({self.kind} from {self.low:g} to {self.high:g})"


RGB = ImageSpec()  # Of 8 bits: what most images are.


def colors_of(labels):
    """Labels `[..., 1]` -> uint8 RGB `[..., 3]`: a colour each, the first is black."""
    hues = np.arange(256) * 0.381966 % 1.0  # Far from each other: the golden angle.
    waves = [np.clip(np.abs((hues * 6 + k) % 6 - 3) - 1, 0, 1) for k in (0, 4, 2)]
    table = np.round(np.stack(waves, -1) * 255).astype(np.uint8)
    table[0] = 0
    return table[np.asarray(labels)[..., 0]]


def to_bits(pixels, bits):
    """uint8 or uint16 -> the other: of 16 bits the upper eight, of 8 times `STEP_16`."""
    if pixels.dtype in (np.uint8, tf.uint8):
        if bits == 8:
            return pixels
        if isinstance(pixels, np.ndarray):
            return pixels.astype(np.uint16) * np.uint16(STEP_16)
        return tf.cast(tf.cast(pixels, tf.int32) * STEP_16, tf.uint16)
    if bits == 16:
        return pixels
    if isinstance(pixels, np.ndarray):
        return (pixels >> 8).astype(np.uint8)
    return tf.cast(tf.cast(pixels, tf.int32) // 256, tf.uint8)


def shown(pixels):
    """Pixels of any depth, as uint8 for the eye: rounded."""
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint16:
        return pixels
    return ((pixels.astype(np.uint32) + STEP_16 // 2) // STEP_16).astype(np.uint8)


def as_rgb(pixels):
    """Pixels of any depth and number of channels, as uint8 RGB for the eye."""
    pixels = shown(pixels)
    if pixels.shape[-1] not in CONVERTIBLE:
        pixels = pixels[..., : 3 if pixels.shape[-1] > 3 else 1]  # The first bands.
    return with_channels(pixels, 3)


def can_convert(own, channels):
    """Whether `with_channels` has a rule from one number of channels to another."""
    return own == channels or {own, channels} <= {*CONVERTIBLE}


def with_channels(pixels, channels):
    """uint8 or uint16 `[..., C]` with another number of channels, NumPy or a tensor.

    Grey is repeated, RGB becomes its luma; a fourth channel is dropped, or opaque.

    Raises:
        ValueError: if there is no rule for so many channels.
    """
    own = pixels.shape[-1]
    if own == channels:
        return pixels
    if not can_convert(own, channels):
        raise ValueError(f"has {own} channels; {channels} are wanted")
    is_numpy = isinstance(pixels, np.ndarray)
    pixels = tf.convert_to_tensor(pixels)
    # TensorFlow tiles no uint16.
    rgb = tf.concat([pixels] * 3, -1) if own == 1 else pixels[..., :3]
    if channels == 1:
        luma = tf.tensordot(tf.cast(rgb, tf.float32), tf.constant(LUMA), 1)
        pixels = tf.cast(tf.round(luma), pixels.dtype)[..., None]
    elif channels == 3:
        pixels = rgb
    else:
        opaque = tf.fill(
            tf.shape(rgb[..., :1]), tf.constant(pixels.dtype.max, pixels.dtype)
        )
        pixels = tf.concat([rgb, opaque], -1)
    return pixels.numpy() if is_numpy else pixels


def to_float(pixels):
    """uint8 or uint16 `[..., C]` -> float32 in [-1, 1]."""
    half = 32767.5 if pixels.dtype in (np.uint16, tf.uint16) else 127.5
    return tf.cast(pixels, tf.float32) / half - 1.0


def to_pixels(image):
    """float `[..., C]` in [-1, 1] -> [0, 255], neither rounded nor clipped.

    The result is float32, or float64 as the image.
    """
    image = tf.convert_to_tensor(image)
    dtype = tf.float64 if image.dtype == tf.float64 else tf.float32
    return (tf.cast(image, dtype) + 1.0) * 127.5


def to_uint8(image):
    """float `[..., C]` in [-1, 1] -> uint8 in [0, 255].

    Rounds to the nearest level. The script released with PAN truncates, which darkens
    every output by half a level.
    """
    return tf.cast(tf.clip_by_value(tf.round(to_pixels(image)), 0.0, PEAK), tf.uint8)


def to_levels(image, bits):
    """float `[..., C]` in [-1, 1] -> the nearest levels: uint8 or uint16."""
    if bits == 8:
        return to_uint8(image)
    levels = tf.round((tf.cast(image, tf.float32) + 1.0) * 32767.5)
    return tf.cast(tf.cast(tf.clip_by_value(levels, 0.0, 65535.0), tf.int32), tf.uint16)


def resize(pixels, size):
    """uint8 or uint16 `[H, W, C]`, or a batch -> the same of another size.

    By Lanczos with antialiasing, as Pillow's, which the released code uses: aspect is not
    kept, and values are rounded.

    Args:
        pixels: the image.
        size: pixels a side, or height and width, numbers or int32 scalars.
    """
    size = Size.of(size) if isinstance(size, int) else size
    dtype = tf.as_dtype(pixels.dtype)
    resized = tf.round(tf.image.resize(pixels, size, "lanczos3", antialias=True))
    resized = tf.clip_by_value(resized, 0.0, float(dtype.max))
    if dtype == tf.uint16:
        resized = tf.cast(resized, tf.int32)
    return tf.cast(resized, dtype)


def reflected(size, wanted):
    """Indices into `size` pixels, reflected without repeating the edge, `wanted` of them.

    `tf.pad` reflects once only; these go to and fro as often as needed, and over one
    pixel stand still.
    """
    period = tf.maximum(2 * (size - 1), 1)
    place = tf.range(wanted) % period
    return tf.where(place < size, place, period - place)


# What Context-Encoders fill a hole with, RGB.
HOLE_COLOR = (117, 104, 123)


def to_caffe(image):
    """float RGB `[..., 3]` in [-1, 1] -> what VGG's weights in Keras were trained on.

    BGR in [0, 255], less ImageNet's mean colour; never the other convention's division
    by a standard deviation.
    """
    pixels = to_pixels(image)
    return pixels[..., ::-1] - tf.constant((103.939, 116.779, 123.68), pixels.dtype)


def hole_color():
    """Colour of a hole as float32 `[3]` in [-1, 1]."""
    return to_float(tf.constant(HOLE_COLOR, tf.uint8))


def hole_begin(size, overlap=False):
    """First row and column of an image's missing centre; see `central_mask`."""
    return size // 4 + (0 if overlap else size // 32)


def central_mask(size, overlap=False):
    """Where an image to inpaint is missing: the square in its centre.

    T generates half of the image's side; of that, an edge of a 32nd of the side was known
    to it (Context-Encoders: 64 of 128 px, of which 4 px on every side).

    Args:
        size: height and width in pixels, a multiple of 32.
        overlap: whether to count the known edge in.

    Returns:
        bool `[size, size, 1]`, NumPy: True in the hole.
    """
    begin = hole_begin(size, overlap)
    mask = np.zeros((size, size, 1), bool)
    mask[begin : size - begin, begin : size - begin] = True
    return mask


def cut_hole(image):
    """float `[..., S, S, 3]` in [-1, 1] -> the same with its centre filled."""
    mask = central_mask(image.shape[-2])
    return tf.where(mask, tf.cast(hole_color(), image.dtype), image)


def grid(*columns, gap=4):
    """Sets batches of images side by side, one example a row.

    Args:
        *columns: uint8 or uint16 `[N, H, W, C]` each, such as source, output, target.
        gap: width in pixels of the white lines between the images.

    Returns:
        uint8 `[N * (H + gap) - gap, len(columns) * (W + gap) - gap, 3]`, NumPy, RGB.
    """
    columns = [as_rgb(column) for column in columns]
    margin = ((0, 0), (0, gap), (0, gap), (0, 0))
    padded = [np.pad(column, margin, constant_values=255) for column in columns]
    rows = np.concatenate(np.concatenate(padded, axis=2), axis=0)
    return rows[:-gap, :-gap] if gap else rows
