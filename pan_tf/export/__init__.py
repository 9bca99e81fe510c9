"""From a run folder to a SavedModel that TF Serving can run, with proof.

The package can be called: `pan_tf.export("runs/mine", "exported/mine")`.
"""

import pathlib
import sys
import types

from pan_tf.export.exporter import Export
from pan_tf.export.exporter import ParityError
from pan_tf.export.optimization import optimized
from pan_tf.export.servable import Servable

__all__ = ["Export", "ParityError", "Servable", "export", "optimized"]


def export(run_dir, export_dir, **settings) -> pathlib.Path:
    """Exports a trained T as the next version of a model; the command `pan-tf export`.

    Args:
        run_dir: run folder.
        export_dir: folder of the model; versions are put into it.
        **settings: as of `Export`: checkpoint, max_pixels, inverse, scale.

    Returns:
        Path of the version. `assets.extra/parity.json` in it says by how much it differs
        from the checkpoint.

    Raises:
        OSError, ValueError: as of `Export`.
        ParityError: if it differs from the checkpoint; nothing is left then.
    """
    path, _ = Export(run_dir, export_dir, **settings).run()
    return path


class _Callable(types.ModuleType):
    """A command and a package of one name: `pan_tf.export`."""

    def __call__(self, run_dir, export_dir, **settings):
        return export(run_dir, export_dir, **settings)


sys.modules[__name__].__class__ = _Callable
