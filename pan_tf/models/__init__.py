"""Topologies: how the networks of a system are connected and trained."""

from pan_tf.models.cycle import CycleModel
from pan_tf.models.translation import TranslationModel
from pan_tf.models.updates import UpdateSchedule
from pan_tf.models.updates import Views

__all__ = ["CycleModel", "TranslationModel", "UpdateSchedule", "Views"]
