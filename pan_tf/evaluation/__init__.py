"""Evaluation: metrics over a split, floors of a data set, reports and comparisons."""

from pan_tf.evaluation.baselines import floors
from pan_tf.evaluation.evaluate import Evaluation
from pan_tf.evaluation.measure import means
from pan_tf.evaluation.measure import measure

__all__ = ["Evaluation", "floors", "means", "measure"]
