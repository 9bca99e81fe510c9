"""Data: which pairs there are, what is done to them, and in which order they come."""

from pan_tf.data.datasets import DatasetNotFoundError
from pan_tf.data.datasets import PairedData
from pan_tf.data.datasets import PairSet
from pan_tf.data.datasets import direction
from pan_tf.data.datasets import locate
from pan_tf.data.datasets import open_data
from pan_tf.data.pipeline import evaluation_dataset
from pan_tf.data.pipeline import training_dataset

__all__ = [
    "DatasetNotFoundError",
    "PairSet",
    "PairedData",
    "direction",
    "evaluation_dataset",
    "locate",
    "open_data",
    "training_dataset",
]
