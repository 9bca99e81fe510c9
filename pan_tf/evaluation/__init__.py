"""Evaluation: metrics over a split, and the floors of a data set."""

from pan_tf.evaluation.baselines import floors
from pan_tf.evaluation.measure import means
from pan_tf.evaluation.measure import measure

__all__ = ["floors", "means", "measure"]
