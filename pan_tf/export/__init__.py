"""From a run folder to a SavedModel that TF Serving can run, with proof."""

from pan_tf.export.exporter import Export
from pan_tf.export.exporter import ParityError
from pan_tf.export.optimization import optimized
from pan_tf.export.servable import Servable

__all__ = ["Export", "ParityError", "Servable", "optimized"]
