"""Evaluation: metrics over a split, floors of a data set, reports and comparisons."""

from pan_tf.evaluation.baselines import floors
from pan_tf.evaluation.evaluate import Evaluation
from pan_tf.evaluation.evaluate_unaligned import UnalignedEvaluation
from pan_tf.evaluation.lists import LIMIT
from pan_tf.evaluation.lists import Domain
from pan_tf.evaluation.lists import check_sizes
from pan_tf.evaluation.lists import held_out
from pan_tf.evaluation.measure import means
from pan_tf.evaluation.measure import measure
from pan_tf.evaluation.two_sample import two_sample_test
from pan_tf.evaluation.unaligned import columns
from pan_tf.evaluation.unaligned import measure_unaligned

__all__ = [
    "LIMIT",
    "Domain",
    "Evaluation",
    "UnalignedEvaluation",
    "check_sizes",
    "columns",
    "floors",
    "held_out",
    "means",
    "measure",
    "measure_unaligned",
    "two_sample_test",
]
