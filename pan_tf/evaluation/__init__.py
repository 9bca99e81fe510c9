"""Evaluation: metrics over a split, baselines of a data set, reports and comparisons."""

from pan_tf.evaluation.baselines import measure_baselines
from pan_tf.evaluation.baselines import translations
from pan_tf.evaluation.directions import StoppedError
from pan_tf.evaluation.evaluate import LIMIT
from pan_tf.evaluation.evaluate import Evaluation
from pan_tf.evaluation.inputs import Inputs
from pan_tf.evaluation.judges import check_counts
from pan_tf.evaluation.measure import check_functions
from pan_tf.evaluation.measure import means
from pan_tf.evaluation.measure import measure
from pan_tf.evaluation.measure import summary
from pan_tf.evaluation.measure import too_small
from pan_tf.evaluation.measure import unmeasurable
from pan_tf.evaluation.measure import validate

__all__ = [
    "LIMIT",
    "Evaluation",
    "Inputs",
    "StoppedError",
    "check_counts",
    "check_functions",
    "means",
    "measure",
    "measure_baselines",
    "summary",
    "too_small",
    "translations",
    "unmeasurable",
    "validate",
]
