"""Large images, tile by tile, without seams.

Tiles lie on multiples of the network's stride, so that a strided layer samples a tile
as it samples the whole image, and overlap by a halo on every side. With a halo as wide as
the receptive field a tile's middle equals the whole image's output; whatever the halo,
tiles are blended by a smooth window around the middle of their overlap.
"""

import dataclasses
import itertools

import numpy as np
import tensorflow as tf

from pan_tf import images

_RAMP = 32  # Pixels, at most, over which one tile fades into the next.


@dataclasses.dataclass(frozen=True)
class Tiling:
    """How an axis, or an image, is cut.

    Attributes:
        tile_size: pixels a side.
        halo: pixels at an inner edge of a tile that are dropped, or faded out.
        multiple: what offsets and sizes are multiples of.
    """

    tile_size: int
    halo: int
    multiple: int

    @classmethod
    def of(cls, tile_size, field):
        """The tiling for a receptive field.

        Args:
            tile_size: pixels a side.
            field: `networks.ReceptiveField`.

        Raises:
            ValueError: if the tile has no room for a halo.
        """
        multiple = field.multiple
        if tile_size % multiple or tile_size < 4 * multiple:
            raise ValueError(
                f"--tile_size must be a multiple of {multiple}, at least {4 * multiple}. "
                f"Received: tile_size={tile_size}."
            )
        # As wide as the receptive field, if that leaves half of the tile; and what fades
        # beyond its middle, too, where sizes are fine enough for that to cost little.
        room = tile_size // 4 // multiple * multiple
        fading = _RAMP // 2 if field.radius and multiple <= _RAMP // 2 else 0
        wanted = min(field.radius + fading, room)
        return cls(tile_size, int(-(-wanted // multiple)) * multiple, multiple)

    @property
    def step(self):
        """Pixels from a tile to the next."""
        return self.tile_size - 2 * self.halo

    def starts(self, size):
        """Offsets of the tiles along an axis of `size` pixels."""
        padded = -(-size // self.multiple) * self.multiple
        if padded <= self.tile_size:
            return [0]
        last = padded - self.tile_size
        return [*range(0, last, self.step), last]

    def borders(self, size):
        """Pixels at which one tile gives way to the next: middles of overlaps."""
        starts = self.starts(size)
        return [(b + a + self.tile_size) // 2 for a, b in itertools.pairwise(starts)]

    def windows(self, size):
        """One weight for each tile and pixel along an axis.

        Returns:
            List of (start, float32 `[n]`), n the pixels of the tile that lie in the
            image; at every pixel the weights of all tiles add up to 1.
        """
        pixels = np.arange(size) + 0.5
        # Within the overlap, beyond which a tile has no pixels; without one, a step.
        ramp = max(min(_RAMP, 2 * self.halo), 1e-6)
        # Share of what lies before each border; raised cosine.
        before = [
            0.5 * (1 + np.cos(np.pi * np.clip((pixels - border) / ramp + 0.5, 0, 1)))
            for border in self.borders(size)
        ]
        edges = [np.zeros(size), *before, np.ones(size)]
        return [
            (start, (to - since)[start : start + self.tile_size].astype(np.float32))
            for start, since, to in zip(
                self.starts(size), edges[:-1], edges[1:], strict=True
            )
        ]

    def count(self, height, width):
        """Number of tiles of an image."""
        return len(self.starts(height)) * len(self.starts(width))


def translate_tiles(translate, source, tiling, on_tile=None, spec=None, target=None):
    """Translates one large image tile by tile.

    Beside source and output it needs memory for one row of tiles.

    Args:
        translate: float32 `[1, h, w, C]` in [-1, 1] -> likewise, any size.
        source: `[H, W, C]` as of `spec`, NumPy.
        tiling: `Tiling`.
        on_tile: called without arguments after each tile.
        spec, target: `images.ImageSpec`s of source and output; None: RGB of 8 bits.

    Returns:
        `[H, W, C]` as of `target`, NumPy.
    """
    spec, target = spec or images.ImageSpec(), target or images.ImageSpec()
    height, width = source.shape[:2]
    output = np.empty((height, width, target.planes), target.dtype)
    done = 0  # Rows of the output that are final.
    pending = np.zeros((0, width, target.channels), np.float32)
    for top, row_weights in tiling.windows(height):
        # No later tile reaches above this row's start.
        output[done:top] = target.to_levels(tf.constant(pending[: top - done]))
        pending = pending[top - done :]
        done = top
        missing = len(row_weights) - len(pending)
        pending = np.pad(pending, ((0, missing), (0, 0), (0, 0)))
        for left, column_weights in tiling.windows(width):
            tile = source[top : top + tiling.tile_size, left : left + tiling.tile_size]
            result = translate(spec.to_float(tile[None]))[0].numpy()
            weights = row_weights[:, None, None] * column_weights[:, None]
            pending[:, left : left + tiling.tile_size] += weights * result
            if on_tile:
                on_tile()
    output[done:] = target.to_levels(tf.constant(pending))
    return output


def seam_score(pixels, tiling):
    """How much more an image changes across tile borders than elsewhere.

    The mean absolute difference of neighbouring pixels across the middles of the
    overlaps, divided by that of all other neighbours. A seam raises it; content does so
    too, so it is to be compared with the untiled image's at the same borders, where that
    can be had.

    Args:
        pixels: uint8 or uint16 `[H, W, C]`.
        tiling: `Tiling`.

    Returns:
        The ratio; None for an image of one tile, or without any gradient elsewhere.
    """
    across, elsewhere = [], []
    for axis in (0, 1):
        lines = np.moveaxis(pixels, axis, 0)
        borders = tiling.borders(len(lines))
        if not borders:
            continue
        at_border = np.isin(np.arange(1, len(lines)), borders)
        change = np.array(
            [np.abs(b.astype(np.int32) - a).mean() for a, b in itertools.pairwise(lines)]
        )
        across.append(change[at_border].mean())
        elsewhere.append(change[~at_border].mean())
    if not across or not sum(elsewhere):
        return None
    return float(sum(across) / sum(elsewhere))
