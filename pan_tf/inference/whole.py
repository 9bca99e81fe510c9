"""Whole images through a T, whatever their size: at once, or by tiles.

Memory is looked at before and while an image is translated; where it is short, tiles get
smaller.
"""

import math

import numpy as np
import tensorflow as tf
from absl import logging

from pan_tf import files
from pan_tf import networks
from pan_tf import tracing
from pan_tf.inference.sizes import any_size
from pan_tf.inference.tiles import Tiling
from pan_tf.inference.tiles import translate_tiles
from pan_tf.memory import available_bytes
from pan_tf.settings import whole_number

# Images of more pixels are cut into tiles of this size unless told otherwise.
_WHOLE_PIXELS = 2**21
_TILE_SIZE = 1024


class WholeImages:
    """A T that takes images of any size.

    Args:
        translate: float32 `[B, H, W, C]` in [-1, 1] -> likewise, of any size.
        field: `networks.ReceptiveField`; None where it is not known.
        source, target: `images.ImageSpec`s.
        name: of T, in messages.
        limit: pixels that `translate` takes, at most.
        bytes_per_pixel: of memory that it needs; None where that is not known.
    """

    def __init__(
        self,
        translate,
        field,
        source,
        target,
        name="T",
        limit=math.inf,
        bytes_per_pixel=None,
    ):
        self.floats, self.field = translate, field
        self.source, self.target = source, target
        self._name, self._limit, self._bytes = name, limit, bytes_per_pixel

    @classmethod
    def of_network(cls, network, source, target, name="T"):
        """Takes a Keras T as it stands, in its own dtype."""
        field = networks.receptive_field(network)

        @tracing.function(reduce_retracing=True)
        def translate(source):
            translated = any_size(
                lambda x: network(x, training=False), field.multiple, field.size
            )
            return translated(source)

        needed = networks.activation_bytes(network)
        return cls(translate, field, source, target, name, bytes_per_pixel=needed)

    def __call__(self, source):
        """float32 `[B, H, W, C]` in [-1, 1] -> pixels as of `target`, a tensor."""
        if self.tiling(*source.shape[1:3]) is None:
            return self.target.to_levels(self.floats(source))
        pixels = self.source.to_levels(source).numpy()
        return tf.constant(np.stack([self.translate(each)[0] for each in pixels]))

    def translate(self, pixels, tile_size=None, on_tile=None):
        """Translates one image.

        Args:
            pixels: `[H, W, C]` as of `source`, NumPy.
            tile_size, on_tile: as in a call of a `Translator`.

        Returns:
            (`[H, W, C]` as of `target`, the `Tiling` that was used or None): a finer one
            than `tiling` gives where memory ran out.

        Raises:
            MemoryError: if there is too little for the smallest tiles.
            ValueError: if T does not take such an image, or the tile size is not legal.
        """
        only = self.field.size if self.field else None
        if only is not None and pixels.shape[:2] != (only, only):
            raise ValueError(
                f"{self._name} takes images of {only} x {only} pixels only. Received: "
                f"{pixels.shape[1]} x {pixels.shape[0]}."
            )
        tiling = self.tiling(*pixels.shape[:2], tile_size)
        while self._is_too_large(tiling, pixels.shape):
            try:
                tiling = self._smaller(tiling, pixels.shape, None)
            except MemoryError:
                break  # It was an estimate.
        while True:
            try:
                if tiling is None:
                    output = self.floats(self.source.to_float(pixels[None]))
                    return self.target.to_levels(output)[0].numpy(), None
                output = translate_tiles(
                    self.floats, pixels, tiling, on_tile, self.source, self.target
                )
                return output, tiling
            except tf.errors.InvalidArgumentError as error:
                lines = [line for line in str(error).splitlines() if line.strip()]
                raise ValueError(
                    f"{self._name} refused {pixels.shape[1]} x {pixels.shape[0]} pixels: "
                    + next((line for line in lines if "assertion" in line), lines[-1])
                ) from error
            except (tf.errors.OpError, MemoryError) as error:
                is_exhausted = isinstance(error, tf.errors.ResourceExhaustedError)
                if not is_exhausted and files.lack_of_memory(error) is None:
                    raise
                tiling = self._smaller(tiling, pixels.shape, error)

    def tiling(self, height, width, tile_size=None):
        """How an image is cut, `tile_size` as in a call; None if it is not."""
        if tile_size is not None:
            whole_number("tile_size", tile_size)
        if tile_size == 0:
            return None
        limit = self._limit
        if tile_size is None:
            if not self._local():
                return None
            multiple = self.field.multiple
            pixels = math.prod(
                -(-size // multiple) * multiple for size in (height, width)
            )
            if pixels <= min(limit, _WHOLE_PIXELS):
                return None
            tile_size = max(_TILE_SIZE, 4 * multiple)
            if tile_size**2 > limit:
                tile_size = math.isqrt(limit) // multiple * multiple
            if tile_size < 4 * multiple:
                raise ValueError(
                    f"{self._name} takes no more than {limit} pixels, too few for tiles: "
                    f"export it with --max_pixels={(4 * multiple) ** 2} or more."
                )
        if tile_size**2 > limit:
            raise ValueError(
                f"--tile_size must be at most {math.isqrt(limit)}: {self._name} takes no "
                f"more than {limit} pixels. Received: tile_size={tile_size}."
            )
        if self.field is None:
            raise ValueError(
                f"--tile_size cannot be used with {self._name}: it does not say how far "
                "its T looks."
            )
        if not self._local():
            raise ValueError(
                f"--tile_size cannot be used with {self._name}: its T normalizes each "
                "image by that image's own statistics, or knows one size of images only. "
                f"Received: tile_size={tile_size}."
            )
        tiling = Tiling.of(tile_size, self.field)
        return tiling if tiling.count(height, width) > 1 else None

    def _local(self):
        """Whether an output pixel depends on a part of the image only."""
        return self.field is not None and np.isfinite(self.field.radius)

    def _is_too_large(self, tiling, shape):
        """Whether an image or a tile is likely to need more memory than there is."""
        free = available_bytes()
        if self._bytes is None or free is None:
            return False
        pixels = tiling.tile_size**2 if tiling else shape[0] * shape[1]
        return pixels * self._bytes > free

    def _smaller(self, tiling, shape, error):
        """The tiling to try where memory runs out."""
        if self._local():
            multiple = self.field.multiple
            half = (tiling.tile_size if tiling else max(shape[:2])) // 2
            size = half // multiple * multiple
            if size >= 4 * multiple:
                logging.warning(
                    "*** %d x %d pixels: too little memory %s; tiles of %d px then. ***",
                    *shape[1::-1],
                    f"with tiles of {tiling.tile_size} px" if tiling else "as a whole",
                    size,
                )
                return Tiling.of(size, self.field)
        raise MemoryError(
            f"{shape[1]} x {shape[0]} pixels are too many for the memory here, and "
            "cannot be cut into smaller tiles."
        ) from error
