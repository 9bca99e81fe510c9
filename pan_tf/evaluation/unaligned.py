"""What can be measured of a translation between sets of which nobody knows pairs.

Neither number says whether an output looks like the target's domain: a T that changes
nothing has the best of both. They say how much of a source is lost on the way.
"""

import numpy as np

from pan_tf import images
from pan_tf import metrics
from pan_tf.data import evaluation_dataset


def measure_unaligned(model, sets, image_size, batch_size=8):
    """How well images survive what must not change them.

    Args:
        model: `TranslationModel` or `CycleModel`.
        sets: `UnalignedSet`.
        image_size: pixels a side.
        batch_size: images at a time.

    Returns:
        `identity_psnr`, of T(y) against y, and, with an inverse, `cycle_psnr`, of an
        image there and back against itself, both of both sides then: means over as many
        images of either list as the shorter one has, in dB.
    """
    there, back = model.translate_pixels, model.translate_pixels_back
    scores = {}

    def note(name, image, made):
        values = np.minimum(metrics.psnr(images.to_uint8(image), made), 100.0)
        scores.setdefault(name, []).append(np.asarray(values))

    for batch in evaluation_dataset(sets, image_size=image_size, batch_size=batch_size):
        source, target = batch["source"], batch["target"]
        note("identity_psnr", target, there(target))
        if back is not None:
            note("identity_psnr", source, back(source))
            note("cycle_psnr", source, back(images.to_float(there(source))))
            note("cycle_psnr", target, there(images.to_float(back(target))))
    return {name: float(np.concatenate(v).mean()) for name, v in scores.items()}


def columns(model, source, target):
    """What a picture of a few images shows: uint8 batches.

    Source, output and, with an inverse, the way back; then the same from the target on.
    """
    there, back = model.translate_pixels, model.translate_pixels_back
    output = there(source)
    if back is None:
        return [images.to_uint8(source), output, images.to_uint8(target)]
    inverse = back(target)
    return [
        *(images.to_uint8(source), output, back(images.to_float(output))),
        *(images.to_uint8(target), inverse, there(images.to_float(inverse))),
    ]
