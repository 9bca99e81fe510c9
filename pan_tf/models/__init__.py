"""Topologies: how the networks of a system are connected and trained."""

from pan_tf.models.translation import TranslationModel
from pan_tf.models.translation import UpdateSchedule
from pan_tf.models.translation import Views

__all__ = ["TranslationModel", "UpdateSchedule", "Views"]
