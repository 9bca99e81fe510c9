"""How much outputs vary against targets: what tells a collapse."""

import tensorflow as tf

from pan_tf import images
from pan_tf.layers import plane_means


def over_directions(figures, translations, combine):
    """Figures of each direction, two of them made one: name -> scalar."""
    first, *rest = (figures(translation) for translation in translations)
    for other in rest:
        first = {name: combine(first[name], other[name]) for name in first}
    return first


def variation(translation):
    """How much outputs vary against targets; 1 is as much, 0 is collapse.

    Returns:
        `output_contrast`, of the standard deviations within an image, and
        `output_diversity`, of those between images: each the ratio of means over the
        *replica's* batch, float32 scalar. A batch of one has no diversity; it gives 1.
    """

    def within(x):
        mean = plane_means(x, (1, 2))[:, None, None]
        return tf.sqrt(plane_means(tf.math.squared_difference(x, mean), (1, 2)))

    def between(x):
        return tf.math.reduce_std(x, axis=0)

    def ratio(deviation):
        output, target = (
            # A level of 8 bits on both sides: no target is too flat to divide by.
            tf.reduce_mean(deviation(tf.cast(x, tf.float32))) + images.LEVEL
            for x in (translation.output, translation.target)
        )
        return output / target

    return {"output_contrast": ratio(within), "output_diversity": ratio(between)}
