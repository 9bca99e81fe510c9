"""Data: which pairs there are, what is done to them, and in which order they come."""

from pan_tf.data.datasets import DatasetNotFoundError
from pan_tf.data.datasets import NoPairsError
from pan_tf.data.datasets import OpenedData
from pan_tf.data.datasets import direction
from pan_tf.data.datasets import locate
from pan_tf.data.datasets import open_data
from pan_tf.data.pipeline import evaluation_dataset
from pan_tf.data.pipeline import training_dataset
from pan_tf.data.sets import ImageSet
from pan_tf.data.sets import PairSet
from pan_tf.data.sets import UnalignedSet

__all__ = [
    "DatasetNotFoundError",
    "ImageSet",
    "NoPairsError",
    "OpenedData",
    "PairSet",
    "UnalignedSet",
    "direction",
    "evaluation_dataset",
    "locate",
    "open_data",
    "training_dataset",
]
