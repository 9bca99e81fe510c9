"""Data: which images there are, what is done to them, and in which order they come."""

from pan_tf.data import cache
from pan_tf.data.geometry import NATIVE
from pan_tf.data.geometry import Geometry
from pan_tf.data.opening import DatasetNotFoundError
from pan_tf.data.opening import OpenedData
from pan_tf.data.opening import check_paired
from pan_tf.data.opening import direction
from pan_tf.data.opening import geometry_asked_for
from pan_tf.data.opening import geometry_of_own
from pan_tf.data.opening import locate
from pan_tf.data.opening import open_data
from pan_tf.data.pipeline import cost_of_example
from pan_tf.data.pipeline import evaluation_dataset
from pan_tf.data.pipeline import example_maker
from pan_tf.data.pipeline import spread
from pan_tf.data.pipeline import training_dataset
from pan_tf.data.specs import recorded
from pan_tf.data.specs import specs_asked_for
from pan_tf.data.specs import with_found
from pan_tf.data.split import Images
from pan_tf.data.split import NoPairsError
from pan_tf.data.split import Split
from pan_tf.data.table import DATASETS
from pan_tf.files import UnusableFilesError

__all__ = [
    "DATASETS",
    "NATIVE",
    "DatasetNotFoundError",
    "Geometry",
    "Images",
    "NoPairsError",
    "OpenedData",
    "Split",
    "UnusableFilesError",
    "cache",
    "check_paired",
    "cost_of_example",
    "direction",
    "evaluation_dataset",
    "example_maker",
    "geometry_asked_for",
    "geometry_of_own",
    "locate",
    "open_data",
    "recorded",
    "specs_asked_for",
    "spread",
    "training_dataset",
    "with_found",
]
