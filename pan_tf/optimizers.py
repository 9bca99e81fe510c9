"""Adam, updated by one kernel a variable."""

import functools

import keras
import tensorflow as tf


class Adam(keras.optimizers.Adam):
    """Keras' Adam, its slots and its formula, in TensorFlow's fused kernel.

    Keras writes an update as nine operations, each of which reads and writes all of a
    weight's memory; on a CPU that is a twentieth of a step at 128 px.
    """

    def apply(self, grads, trainable_variables=None):
        # Once for all variables of an update. Made for each of them, it would be a tenth
        # of the operations that a round is traced into.
        self._shared = functools.cache(self._constants)
        super().apply(grads, trainable_variables)

    def _constants(self, dtype):
        """What the kernel is given beside a variable and its gradient."""
        step = tf.cast(self.iterations + 1, dtype)
        beta1, beta2 = tf.cast(self.beta_1, dtype), tf.cast(self.beta_2, dtype)
        return {
            "beta1": beta1,
            "beta2": beta2,
            "beta1_power": tf.pow(beta1, step),
            "beta2_power": tf.pow(beta2, step),
            "epsilon": tf.cast(self.epsilon, dtype),
        }

    def update_step(self, gradient, variable, learning_rate):
        if self.amsgrad:  # The kernel has none.
            super().update_step(gradient, variable, learning_rate)
            return
        index = self._get_variable_index(variable)
        m, v = self._momentums[index].value, self._velocities[index].value
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=m.handle,
            v=v.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
            **self._shared(variable.dtype),
        )
