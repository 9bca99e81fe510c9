"""Files that are taken for pairs side by side: are they?"""

import numpy as np

from pan_tf.data.split import evenly
from pan_tf.image_files import ImageFileError
from pan_tf.image_files import read_raw

_TALL = 1.5  # Halves that are higher than wide by more are seldom images.
_SMOOTH = 2.0  # How much more two real sides differ at the seam than within.
_DECODED = 24


def suspicions(listing):
    """Sentences on files that do not look like A | B.

    Args:
        listing: `listing.Listing`.
    """
    if not listing.side_by_side:
        return []
    places = evenly(len(listing.files), _DECODED)
    looks = [_look(*listing.files[place]) for place in places]
    shapes = [shape for shape, _ in looks if shape is not None]
    seams = [seam for _, seam in looks if seam is not None]
    folder = listing.files[0][0].parent
    sentences = []
    if shapes and np.median(shapes) > _TALL:
        sentences.append(
            f"{folder}: halves of files are {np.median(shapes):.1f} times as high as "
            "wide. A file must hold A on the left and B on the right; one above the "
            "other, or a single image, is not such a pair."
        )
    # White margins, as of drawn edges, say nothing: most files must.
    if 2 * len(seams) > len(looks) and np.median(seams) < _SMOOTH:
        sentences.append(
            f"{folder}: most files go on over their middle as one image does. A file "
            "must hold A on the left and B on the right; single images belong into two "
            "folders, trainA and trainB, or are read by --dataset=photos."
        )
    return sentences


def _look(file):
    """(height over width of a half, change across the middle over that beside it)."""
    try:
        pixels = read_raw(file).pixels.astype(np.float64).mean(-1)
    except ImageFileError:
        return None, None  # Somebody else tells.
    height, width = pixels.shape
    if width < 8:
        return None, None
    half = width // 2
    changes = np.abs(np.diff(pixels, axis=1)).mean(0)
    beside = np.concatenate([changes[half - 4 : half - 1], changes[half : half + 3]])
    # Flat images have no seam either.
    seam = changes[half - 1] / beside.mean() if beside.mean() > 0.1 else None
    return height / half, seam
