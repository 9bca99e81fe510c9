"""Images of any size through a network that takes only multiples of some number."""

import tensorflow as tf

from pan_tf import images


def any_size(network, multiple, size=None):
    """A network that takes images of any size, from 1 x 1 up.

    A source is reflected at its bottom and right edges until height and width are
    multiples, and the output cropped back: the size of an output is that of its source.
    Where a size is a multiple already, nothing is changed.

    Args:
        network: float32 `[B, H, W, C]` -> likewise, H and W multiples of `multiple`.
        multiple: number of pixels.
        size: the only height and width that the network knows, if it knows one only;
            then the function knows no other either.

    Returns:
        A function of float32 `[B, H, W, C]`, for graphs too.
    """

    if size is not None:
        return lambda source: network(tf.ensure_shape(source, (None, size, size, None)))

    def places_of(size):
        return images.reflected(size, -(-size // multiple) * multiple)

    def translate(source):
        height, width = tf.shape(source)[1], tf.shape(source)[2]

        def pad():
            padded = tf.gather(source, places_of(height), axis=1)
            return tf.gather(padded, places_of(width), axis=2)

        fits = (height % multiple == 0) & (width % multiple == 0)
        padded = tf.cond(fits, lambda: tf.identity(source), pad)
        return network(padded)[:, :height, :width]

    return translate
