"""Learning-rate schedules, as Keras has them: optimizer step -> learning rate."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("pan_tf")
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Constant, then linear to zero: the schedule of pix2pix and CycleGAN.

    Args:
        learning_rate: of the constant part.
        decay_start: optimizer step at which it begins to fall.
        decay_end: optimizer step at which it is zero.
    """

    def __init__(self, learning_rate, decay_start, decay_end):
        self.learning_rate = learning_rate
        self.decay_start = decay_start
        self.decay_end = decay_end

    def __call__(self, step):
        left = self.decay_end - ops.cast(step, "float32")
        share = left / (self.decay_end - self.decay_start)
        return self.learning_rate * ops.clip(share, 0.0, 1.0)

    def get_config(self):
        return {
            "learning_rate": self.learning_rate,
            "decay_start": self.decay_start,
            "decay_end": self.decay_end,
        }
