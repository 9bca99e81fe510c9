"""Which images are the same, and which side of a pair is which.

Both from a small `Portrait` of each pair, so that a data set of any size fits in memory.
"""

import collections
import dataclasses
import hashlib

import numpy as np
from PIL import Image

_HASH = 16  # A hash has so many bits squared.
_LEAST_STEP = 2.0  # Levels between neighbours, below which a bit would be noise.
_LEAST_BITS = 4  # Of 32 in a block that can tell images apart.
_LEAST_TEXTURE = 3.0  # Standard deviation in levels.
_LEAST_PAIRS = 10


@dataclasses.dataclass(frozen=True)
class Portrait:
    """What is kept of a pair.

    Attributes:
        size: (height, width) of a side.
        constant: which sides ("A", "B") are of one colour.
        digest: of all pixels.
        blocks: perceptual hash of A; see `_difference_hash`.
        thumbnails: float32 `[2, 16, 16, 3]`.
        character: statistics of A and B, `[2, k]`; see `_character`.
    """

    size: tuple
    constant: tuple
    digest: str
    blocks: tuple
    thumbnails: np.ndarray
    character: np.ndarray


def portrait(a, b):
    """Makes the `Portrait` of a pair, uint8 `[H, W, 3]` twice."""
    sides = {"A": a, "B": b}
    digest = hashlib.sha256(a.tobytes())
    digest.update(b.tobytes())
    return Portrait(
        size=a.shape[:2],
        constant=tuple(k for k, v in sides.items() if (v == v[:1, :1]).all()),
        digest=digest.hexdigest(),
        blocks=_difference_hash(a),
        thumbnails=np.stack([_reduced(side, _HASH, _HASH) for side in (a, b)]),
        character=np.stack([_character(side) for side in (a, b)]),
    )


def same(portraits):
    """Pairs that show the same, also after scaling or compression.

    Args:
        portraits: list of `Portrait`.

    Returns:
        List of lists of places, in order: pairs whose sides both look like those of the
        others of their list. Pairs without texture count only if every pixel is equal.
    """
    parents = list(range(len(portraits)))

    def root(i):
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    # Copies share the digest, or a block of the hash. In each group a pair is compared
    # with one of each kind met so far, not with all.
    groups = collections.defaultdict(list)
    for i, each in enumerate(portraits):
        for key in (each.digest, *each.blocks):
            kinds = groups[key]
            for j in kinds:
                if root(i) == root(j) or key == each.digest or _alike(portraits[j], each):
                    parents[root(i)] = root(j)
                    break
            else:
                kinds.append(i)
    clusters = collections.defaultdict(list)
    for i in range(len(portraits)):
        clusters[root(i)].append(i)
    return sorted(sorted(members) for members in clusters.values() if len(members) > 1)


def swapped(portraits):
    """Pairs whose A looks like the others' B, and the other way round.

    Over all pairs, a linear discriminant is learnt from what tells A from B (colour,
    contrast, flatness); a swapped pair lies on the wrong side of it, as far out as the
    usual pair on the right one.

    Returns:
        List of places, most striking first; None if the two sides are too alike to
        tell, or the pairs too few.
    """
    if len(portraits) < _LEAST_PAIRS:
        return None
    character = np.stack([p.character for p in portraits])
    spread = np.median(np.abs(character - np.median(character, (0, 1))), (0, 1))
    difference = (character[:, 0] - character[:, 1]) / (spread + 1e-3)
    usual = np.median(difference, axis=0)
    covariance = np.cov(difference.T) + np.eye(len(usual))
    score = difference @ np.linalg.solve(covariance, usual)
    middle = np.median(score)
    if middle <= 0:
        return None
    score = score / middle
    # Measured on the pairs not swapped, as the median is not moved by a few that are.
    deviation = 1.4826 * np.median(np.abs(score - 1.0))
    if deviation > 0.35:
        return None
    wrong = np.flatnonzero(score < -0.5)
    return wrong[np.argsort(score[wrong])].tolist()


def _difference_hash(pixels):
    """Blocks of two rows of 16 bits: is a cell lighter than its right neighbour?

    They are those of a 16 x 17 thumbnail; blocks with next to no structure say nothing
    and are left out.
    """
    gray = _reduced(pixels, _HASH, _HASH + 1).mean(-1)
    bits = (gray[:, :-1] - gray[:, 1:] > _LEAST_STEP).reshape(_HASH // 2, -1)
    packed = np.packbits(bits, axis=1).tolist()
    return tuple(
        (place, *code)
        for place, (code, block) in enumerate(zip(packed, bits, strict=True))
        if block.sum() >= _LEAST_BITS
    )


def _reduced(pixels, height, width):
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((width, height), Image.Resampling.BOX), np.float32)


def _alike(first, second):
    for a, b in zip(first.thumbnails, second.thumbnails, strict=True):
        error = np.sqrt(((a - b) ** 2).mean())
        if error > max(0.12 * a.std(), _LEAST_TEXTURE):
            return False
    return True


def _character(pixels):
    """Statistics that do not depend on what is shown so much as on what kind it is."""
    x = pixels.astype(np.float32)
    gray = x.mean(-1)
    steps = np.abs(np.diff(gray, axis=1)) if gray.shape[1] > 1 else np.zeros(1)
    coarse = _reduced(pixels, 32, 32).mean(-1)
    cells = (pixels >> 5).astype(np.int64) @ np.array([64, 8, 1])
    share = np.sort(np.bincount(cells.ravel(), minlength=512) / cells.size)[::-1]
    statistics = np.array(
        [
            *(x.mean((0, 1)) / 64.0),
            *(x.std((0, 1)) / 32.0),
            (x.max(-1) - x.min(-1)).mean() / 32.0,
            np.log(steps.mean() + 0.1),
            np.log(np.abs(np.diff(coarse, axis=1)).mean() + 0.1),
            (steps < 1.0).mean() * 4.0,
            share[0] * 4.0,
            share[:8].sum() * 4.0,
        ]
    )
    return statistics
