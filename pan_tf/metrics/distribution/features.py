"""Features of whole sets of images, as seen by a frozen network."""

import functools

import numpy as np

from pan_tf import images
from pan_tf import networks
from pan_tf import progress

_AT_ONCE = 16


def _vgg16(weights):
    """Means over positions of relu5_1."""
    network = networks.vgg_encoder("vgg16", weights=weights["vgg16"])
    return lambda floats: np.mean(network(floats)[-1], axis=(1, 2))


def _inception(weights):
    """The 2048 features of FID and KID."""
    try:
        network = networks.inception_features(weights["inception"])
    except ValueError as error:
        raise ValueError(
            f"{weights['inception']} cannot be used for FID and KID: {error}."
        ) from None
    return lambda floats: np.asarray(network(floats))


@functools.lru_cache(maxsize=1)
def _extractor(network, weights):
    """Read once, whatever the number of sets."""
    return EXTRACTORS[network](weights)


# Network -> (`Weights` -> (float RGB `[B, H, W, 3]` in [-1, 1] -> `[B, d]`)).
EXTRACTORS = {"vgg16": _vgg16, "inception": _inception}


def extract(network, weights, pixels):
    """Features of a set.

    Args:
        network: of `EXTRACTORS`.
        weights: `Weights` with it.
        pixels: uint8 `[N, H, W, C]`; grey is taken as RGB.

    Returns:
        float64 `[N, d]`.
    """
    features = _extractor(network, weights)
    parts = [pixels[i : i + _AT_ONCE] for i in range(0, len(pixels), _AT_ONCE)]
    found = [
        features(images.to_float(images.with_channels(part, 3)))
        for part in progress.followed(parts, f"looking through {network}")
    ]
    return np.concatenate(found).astype(np.float64)
