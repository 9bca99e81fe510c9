"""Adam, updated by one kernel a variable."""

import keras
import tensorflow as tf


class Adam(keras.optimizers.Adam):
    """Keras' Adam, its slots and its formula, in TensorFlow's fused kernel.

    Keras writes an update as nine operations, each of which reads and writes all of a
    weight's memory; on a CPU that is a twentieth of a step at 128 px.
    """

    def update_step(self, gradient, variable, learning_rate):
        if self.amsgrad:  # The kernel has none.
            super().update_step(gradient, variable, learning_rate)
            return
        index = self._get_variable_index(variable)
        m, v = self._momentums[index].value, self._velocities[index].value
        step = tf.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=m.handle,
            v=v.handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, variable.dtype), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, variable.dtype), step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, variable.dtype),
        )
