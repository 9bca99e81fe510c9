"""The data-set doctor: finds before training what would ruin it."""

from pan_tf.doctor.examination import examine
from pan_tf.doctor.examination import write
from pan_tf.doctor.pairs import BrokenPairError
from pan_tf.doctor.pairs import of_folder
from pan_tf.doctor.pairs import of_split
from pan_tf.doctor.pairs import suspicions

__all__ = [
    "BrokenPairError",
    "examine",
    "of_folder",
    "of_split",
    "suspicions",
    "write",
]
