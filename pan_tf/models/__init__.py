"""Topologies: how the networks of a system are connected and trained."""

from pan_tf.models.cycle import CycleModel
from pan_tf.models.translation import TranslationModel
from pan_tf.models.updates import Course
from pan_tf.models.updates import MinibatchCache
from pan_tf.models.updates import UpdateSchedule

__all__ = [
    "Course",
    "CycleModel",
    "MinibatchCache",
    "TranslationModel",
    "UpdateSchedule",
]
