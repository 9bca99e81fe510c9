"""The missing centre of an image, for inpainting."""

import keras
import tensorflow as tf

from pan_tf import images


@keras.saving.register_keras_serializable("pan_tf")
class CutHole(keras.layers.Layer):
    """Fills the centre of an image, so that what was there cannot be seen."""

    def call(self, inputs):
        return images.cut_hole(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable("pan_tf")
class PasteCentre(keras.layers.Layer):
    """Pastes a generated centre into the image that it was generated for.

    In training all of it, since D and the losses judge its known edge too; otherwise
    only what was missing.
    """

    def call(self, inputs, training=None):
        image, centre = inputs
        size = image.shape[1]
        pad = (size - centre.shape[1]) // 2
        centre = tf.pad(centre, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
        mask = images.central_mask(size, overlap=bool(training))
        return tf.where(mask, centre, tf.cast(image, centre.dtype))

    def compute_output_shape(self, input_shape):
        return input_shape[0]
