"""Evaluation: metrics over a split, floors of a data set, reports and comparisons."""

from pan_tf.evaluation.baselines import floors
from pan_tf.evaluation.evaluate import Evaluation
from pan_tf.evaluation.evaluate_unaligned import UnalignedEvaluation
from pan_tf.evaluation.measure import means
from pan_tf.evaluation.measure import measure
from pan_tf.evaluation.two_sample import two_sample_test
from pan_tf.evaluation.unaligned import columns
from pan_tf.evaluation.unaligned import measure_unaligned

__all__ = [
    "Evaluation",
    "UnalignedEvaluation",
    "columns",
    "floors",
    "means",
    "measure",
    "measure_unaligned",
    "two_sample_test",
]
